// Verbs of the command line: `certificate`.
import type { Verbs } from '../verb.ts';

export const certificateVerbs: Verbs = {
  'certificate list': {
    summary: 'list certificates',
    example: 'certificate list --device press-7 --state valid',
    load: () => import('./list.ts').then((m) => m.command),
  },
  'certificate revoke': {
    summary: 'revoke certificates and close their connections now',
    example: 'certificate revoke --device press-7 --reason keyCompromise --note "ticket 4711"',
    load: () => import('./revoke.ts').then((m) => m.command),
  },
  'certificate expiry': {
    summary: 'show which certificates and tokens end soon',
    example: 'certificate expiry',
    load: () => import('./expiry.ts').then((m) => m.command),
  },
};
