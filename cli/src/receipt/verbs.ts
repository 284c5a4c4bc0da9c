// Verbs of the command line: `receipt`.
import type { Verbs } from '../verb.ts';

export const receiptVerbs: Verbs = {
  'receipt get': {
    summary: 'fetch the receipt of a key release',
    example: 'receipt get --out receipt.json',
    load: () => import('./get.ts').then((m) => m.command),
  },
  'receipt verify': {
    summary: 'verify a release receipt offline: device, boot, model, policy, lease, log and witnesses',
    example: 'receipt verify receipt.json --trust trust.json',
    load: () => import('./verify.ts').then((m) => m.command),
  },
};
