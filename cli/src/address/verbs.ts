// Verbs of the command line: `address`.
import type { Verbs } from '../verb.ts';

export const addressVerbs: Verbs = {
  'address block': {
    summary: 'block connections from an address or network',
    example: 'address block 203.0.113.9 --reason "guesses tokens" --hours 6',
    load: () => import('./address.ts').then((m) => m.block),
  },
  'address unblock': {
    summary: 'unblock an address or network',
    example: 'address unblock 203.0.113.9 --reason "a misconfigured monitor"',
    load: () => import('./address.ts').then((m) => m.unblock),
  },
  'address list': {
    summary: 'list blocked addresses',
    example: 'address list',
    load: () => import('./address.ts').then((m) => m.list),
  },
};
