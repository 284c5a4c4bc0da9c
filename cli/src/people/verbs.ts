// Verbs of the command line: `token`, `approval`, `person`.
import type { Verbs } from '../verb.ts';

export const peopleVerbs: Verbs = {
  'token create': {
    summary: 'make an API token',
    example: 'token create --name ci --scope models:publish --days 30 --service',
    load: () => import('./token.ts').then((m) => m.create),
  },
  'token prepare': {
    summary: 'make a token for yourself that an administrator registers',
    example: 'token prepare --from hub-address.json --out ben.json',
    load: () => import('./prepare.ts').then((m) => m.command),
  },
  'token list': {
    summary: 'list API tokens',
    example: 'token list',
    load: () => import('./token.ts').then((m) => m.list),
  },
  'token show': {
    summary: 'show an API token',
    example: 'token show 40aff2e9d2d8922e',
    load: () => import('./token.ts').then((m) => m.show),
  },
  'token hand-over': {
    summary: "take a service's token over from its maker",
    example: 'token hand-over 0c4f1f2f3f0f8a71',
    load: () => import('./token.ts').then((m) => m.handOver),
  },
  'token revoke': {
    summary: 'end an API token',
    example: 'token revoke ci',
    load: () => import('./token.ts').then((m) => m.revoke),
  },
  'approval list': {
    summary: 'list requests that wait for a second person',
    example: 'approval list',
    load: () => import('./approval.ts').then((m) => m.list),
  },
  'approval show': {
    summary: 'show a request that waits for a second person',
    example: 'approval show 5f0c2d1e-6d0f-4a0a-9b2e-6f2f3d4c5b6a',
    load: () => import('./approval.ts').then((m) => m.show),
  },
  'approval approve': {
    summary: 'approve a request as the second person',
    example: 'approval approve 5f0c2d1e-6d0f-4a0a-9b2e-6f2f3d4c5b6a --digest 8d22…',
    load: () => import('./approval.ts').then((m) => m.approve),
  },
  'approval refuse': {
    summary: 'refuse a request, or withdraw your own',
    example: 'approval refuse 5f0c2d1e-6d0f-4a0a-9b2e-6f2f3d4c5b6a --reason "not the key Ada told me"',
    load: () => import('./approval.ts').then((m) => m.refuse),
  },
  'person add': {
    summary: 'add a person',
    example: 'person add ben --address hub-address.json',
    load: () => import('./person.ts').then((m) => m.add),
  },
  'person list': {
    summary: 'list people',
    example: 'person list',
    load: () => import('./person.ts').then((m) => m.list),
  },
  'person disable': {
    summary: 'end all tokens of a person',
    example: 'person disable ben --reason "left the company"',
    load: () => import('./person.ts').then((m) => m.disable),
  },
  'person enable': {
    summary: 'let a person hold tokens again',
    example: 'person enable ben',
    load: () => import('./person.ts').then((m) => m.enable),
  },
};
