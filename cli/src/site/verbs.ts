// Verbs of the command line: `site`.
import type { Verbs } from '../verb.ts';

export const siteVerbs: Verbs = {
  'site create': {
    summary: 'make a site',
    example:
      'site create graz --time-zone Europe/Vienna --network 10.1.0.0/16 --country AT --position 47.0707,15.4395 --radius 800 --zone 2',
    load: () => import('./site.ts').then((m) => m.create),
  },
  'site change': {
    summary: 'replace the data of a site',
    example: 'site change graz --time-zone Europe/Vienna --network 10.1.0.0/16 --network 10.2.0.0/16',
    load: () => import('./site.ts').then((m) => m.change),
  },
  'site list': {
    summary: 'list sites',
    example: 'site list',
    load: () => import('./site.ts').then((m) => m.list),
  },
  'site show': {
    summary: 'show a site',
    example: 'site show graz',
    load: () => import('./site.ts').then((m) => m.show),
  },
  'site assign': {
    summary: 'put devices at a site',
    example: 'site assign graz press-7 press-8',
    load: () => import('./site.ts').then((m) => m.assign),
  },
  'site unassign': {
    summary: 'take devices away from a site',
    example: 'site unassign graz press-8',
    load: () => import('./site.ts').then((m) => m.unassign),
  },
  'site delete': {
    summary: 'delete a site, not its devices',
    example: 'site delete graz',
    load: () => import('./site.ts').then((m) => m.drop),
  },
};
