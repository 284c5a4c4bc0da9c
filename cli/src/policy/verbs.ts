// Verbs of the command line: `policy`.
import type { Verbs } from '../verb.ts';

export const policyVerbs: Verbs = {
  'policy show': {
    summary: 'show the access policy in force, or an earlier one',
    example: 'policy show',
    load: () => import('./policy.ts').then((m) => m.show),
  },
  'policy validate': {
    summary: 'check a policy strictly, without a hub',
    example: 'policy validate factory.cedar',
    load: () => import('./draft.ts').then((m) => m.validate),
  },
  'policy test': {
    summary: "run a policy's tests, without a hub",
    example: 'policy test factory.cedar factory.test.json',
    load: () => import('./draft.ts').then((m) => m.test),
  },
  'policy diff': {
    summary: 'show which statements a draft adds, removes and changes',
    example: 'policy diff policy/',
    load: () => import('./draft.ts').then((m) => m.diff),
  },
  'policy simulate': {
    summary: 'show who would gain and lose access under a draft',
    example: 'policy simulate policy/',
    load: () => import('./simulate.ts').then((m) => m.command),
  },
  'policy apply': {
    summary: 'validate, test and apply an access policy',
    example: 'policy apply empty.cedar',
    load: () => import('./policy.ts').then((m) => m.apply),
  },
  'policy history': {
    summary: 'list the versions of the access policy',
    example: 'policy history',
    load: () => import('./policy.ts').then((m) => m.history),
  },
  'post-quantum show': {
    summary: 'show which groups require post-quantum protection, and whom that excludes',
    example: 'post-quantum show',
    load: () => import('./post-quantum.ts').then((m) => m.show),
  },
  'post-quantum simulate': {
    summary: 'say which devices of a group would get no key',
    example: 'post-quantum simulate presses',
    load: () => import('./post-quantum.ts').then((m) => m.simulate),
  },
  'post-quantum set': {
    summary: 'set which groups require post-quantum protection',
    example: 'post-quantum set presses',
    load: () => import('./post-quantum.ts').then((m) => m.set),
  },
  'policy rollback': {
    summary: 'apply an earlier access policy again',
    example: 'policy rollback 6',
    load: () => import('./policy.ts').then((m) => m.rollback),
  },
  'policy countries': {
    summary: 'show or replace the table of networks and their countries',
    example: 'policy countries networks.txt',
    load: () => import('./countries.ts').then((m) => m.command),
  },
};
