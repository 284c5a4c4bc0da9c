// Verbs of the command line: `audit`, `trust`, `receipt`.
import type { Verbs } from '../verb.ts';

export const auditVerbs: Verbs = {
  'witness-policy show': {
    summary: 'show whose cosignatures make a receipt, and how many',
    example: 'witness-policy show',
    load: () => import('./witness-policy.ts').then((m) => m.show),
  },
  'witness-policy set': {
    summary: 'set whose cosignatures make a receipt, and how many',
    example: 'witness-policy set --quorum 2',
    load: () => import('./witness-policy.ts').then((m) => m.set),
  },
  'public-witness list': {
    summary: 'show the public witnesses that the hub asks, and how they answer',
    example: 'public-witness list',
    load: () => import('./public-witness.ts').then((m) => m.list),
  },
  'audit show': {
    summary: 'show entries of the audit log',
    example: 'audit show --limit 3',
    load: () => import('./show.ts').then((m) => m.show),
  },
  'audit prove': {
    summary: 'prove that an entry is in the log',
    example: 'audit prove 2 --out two.proof',
    load: () => import('./show.ts').then((m) => m.prove),
  },
  'audit verify': {
    summary: 'verify a whole audit log: signature, witnesses, every entry and every tile',
    example:
      'audit verify /var/lib/edgekeep/hub/log --key edgekeep.local/log+8bf592d7+AeBe8Sqa8X0fZ9JjGO2x0HB5rzM1KAjasf+0/+xqbxJn',
    load: () => import('./verify.ts').then((m) => m.command),
  },
  'trust show': {
    summary: 'fetch the public keys that verify this hub’s log and receipts',
    example: 'trust show --out trust.json',
    load: () => import('./show.ts').then((m) => m.trust),
  },
};
