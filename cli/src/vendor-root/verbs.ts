// Verbs of the command line: `vendor-root`.
import type { Verbs } from '../verb.ts';

export const vendorRootVerbs: Verbs = {
  'vendor-root import': {
    summary: 'trust certificates of hardware makers: TPM, DICE, IDevID',
    example: 'vendor-root import ~/tpm-makers',
    load: () => import('./import.ts').then((m) => m.command),
  },
  'vendor-root list': {
    summary: 'list the certificates of hardware makers that a hub trusts',
    example: 'vendor-root list --kind tpm',
    load: () => import('./list.ts').then((m) => m.command),
  },
  'vendor-root remove': {
    summary: 'end the trust in a certificate of a hardware maker',
    example: 'vendor-root remove cfeb02fecd55ad7a --reason "we buy from them no more"',
    load: () => import('./remove.ts').then((m) => m.command),
  },
};
