// Verbs of the command line: `device`, `enrollment-group`, `expected-device`, `root-of-trust`, `enroll`.
import type { Verbs } from '../verb.ts';

export const enrollmentVerbs: Verbs = {
  'device replace-root': {
    summary: 'accept a new root of trust for a wiped device',
    example: 'device replace-root press-7 --root b001… --reason "board swapped, ticket 4711"',
    load: () => import('./replace-root.ts').then((m) => m.command),
  },
  'enrollment-group create': {
    summary: 'make an enrollment group',
    example: 'enrollment-group create lot-17 --kind manifest --devices 500 --tag line=press --site graz',
    load: () => import('./enrollment-group.ts').then((m) => m.create),
  },
  'enrollment-group list': {
    summary: 'list enrollment groups',
    example: 'enrollment-group list',
    load: () => import('./enrollment-group.ts').then((m) => m.list),
  },
  'enrollment-group show': {
    summary: 'show an enrollment group',
    example: 'enrollment-group show lot-17',
    load: () => import('./enrollment-group.ts').then((m) => m.show),
  },
  'enrollment-group token': {
    summary: 'make a token of an enrollment group',
    example: 'enrollment-group token line-3 --uses 200 --hours 48 --older-hours 1',
    load: () => import('./enrollment-group.ts').then((m) => m.token),
  },
  'enrollment-group limit': {
    summary: 'change how many devices may enroll by an enrollment group',
    example: 'enrollment-group limit lot-17 --devices 600',
    load: () => import('./enrollment-group.ts').then((m) => m.limit),
  },
  'enrollment-group disable': {
    summary: 'disable enrollment by an enrollment group',
    example: 'enrollment-group disable lot-17 --reason "a pallet is missing"',
    load: () => import('./enrollment-group.ts').then((m) => m.disable),
  },
  'enrollment-group enable': {
    summary: 'open an enrollment group again',
    example: 'enrollment-group enable lot-17',
    load: () => import('./enrollment-group.ts').then((m) => m.enable),
  },
  'enrollment-group delete': {
    summary: 'delete an enrollment group, not its devices',
    example: 'enrollment-group delete lot-17',
    load: () => import('./enrollment-group.ts').then((m) => m.drop),
  },
  'expected-device list': {
    summary: 'list expected devices',
    example: 'expected-device list',
    load: () => import('./expected.ts').then((m) => m.list),
  },
  'expected-device remove': {
    summary: 'withdraw an expected device',
    example: 'expected-device remove press-8',
    load: () => import('./expected.ts').then((m) => m.remove),
  },
  'root-of-trust list': {
    summary: 'list roots of trust that are blocked',
    example: 'root-of-trust list',
    load: () => import('./root-of-trust.ts').then((m) => m.list),
  },
  'root-of-trust block': {
    summary: 'block a root of trust from enrolling',
    example: 'root-of-trust block 41d0… --reason "lot 17 was stolen"',
    load: () => import('./root-of-trust.ts').then((m) => m.block),
  },
  'root-of-trust unblock': {
    summary: 'unblock a root of trust',
    example: 'root-of-trust unblock 41d0… --reason "found again"',
    load: () => import('./root-of-trust.ts').then((m) => m.unblock),
  },
  'enroll kit': {
    summary: 'make the state folder of a new device',
    example: 'enroll kit press-7 --out press-7 --model surface-inspection',
    load: () => import('./enroll-kit.ts').then((m) => m.command),
  },
  'enroll package': {
    summary: 'make one file that installs a new device',
    example: 'enroll package press-7 --out press-7.sh --model surface-inspection',
    load: () => import('./enroll-package.ts').then((m) => m.command),
  },
  'enroll token': {
    summary: 'make a one-time enrollment token',
    example: 'enroll token --device press-7 --tier tpm --hours 2',
    load: () => import('./enroll-token.ts').then((m) => m.command),
  },
  'enroll token list': {
    summary: 'list enrollment tokens',
    example: 'enroll token list',
    load: () => import('./enrollment-tokens.ts').then((m) => m.list),
  },
  'enroll token revoke': {
    summary: 'end an enrollment token',
    example: 'enroll token revoke 4be1c5a09d7716f2',
    load: () => import('./enrollment-tokens.ts').then((m) => m.revoke),
  },
  'enroll token hand-over': {
    summary: 'take an enrollment token over from its maker',
    example: 'enroll token hand-over 4be1c5a09d7716f2',
    load: () => import('./enrollment-tokens.ts').then((m) => m.handOver),
  },
};
