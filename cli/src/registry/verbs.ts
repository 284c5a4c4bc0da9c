// Verbs of the command line: `device`, `group`.
import type { Verbs } from '../verb.ts';

export const registryVerbs: Verbs = {
  'device disable': {
    summary: 'switch a device off',
    example: 'device disable press-7 --reason "in store until spring"',
    load: () => import('./switch.ts').then((m) => m.disable),
  },
  'device enable': {
    summary: 'switch a device on again',
    example: 'device enable press-7',
    load: () => import('./switch.ts').then((m) => m.enable),
  },
  'device tag': {
    summary: 'tag a device',
    example: 'device tag press-7 line=press site=graz --remove old',
    load: () => import('./tag.ts').then((m) => m.command),
  },
  'device attributes': {
    summary: 'show desired and reported attributes',
    example: 'device attributes press-7',
    load: () => import('./attributes.ts').then((m) => m.show),
  },
  'device set-desired': {
    summary: 'set the desired attributes of a device',
    example: 'device set-desired press-7 camera.json --replaces 3',
    load: () => import('./attributes.ts').then((m) => m.setDesired),
  },
  'device history': {
    summary: 'show the history of a device',
    example: 'device history press-7',
    load: () => import('./history.ts').then((m) => m.command),
  },
  'device import': {
    summary: 'import expected devices',
    example: 'device import fleet.ndjson',
    load: () => import('./import.ts').then((m) => m.command),
  },
  'group create': {
    summary: 'make a group',
    example: "group create stale --filter 'seenAt<-7d'",
    load: () => import('./group.ts').then((m) => m.create),
  },
  'group list': {
    summary: 'list groups',
    example: 'group list',
    load: () => import('./group.ts').then((m) => m.list),
  },
  'group show': {
    summary: 'show a group and its devices',
    example: 'group show stale',
    load: () => import('./group.ts').then((m) => m.show),
  },
  'group add': {
    summary: 'put devices into a group',
    example: 'group add pilot press-7 press-8',
    load: () => import('./group.ts').then((m) => m.add),
  },
  'group remove': {
    summary: 'take devices out of a group',
    example: 'group remove pilot press-8',
    load: () => import('./group.ts').then((m) => m.remove),
  },
  'group delete': {
    summary: 'delete a group, not its devices',
    example: 'group delete pilot',
    load: () => import('./group.ts').then((m) => m.drop),
  },
};
