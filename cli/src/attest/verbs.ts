// Verbs of the command line: `attest`.
import type { Verbs } from '../verb.ts';

export const attestVerbs: Verbs = {
  'attest verify': {
    summary: 'verify a TPM quote, its boot log and the boot',
    example:
      'attest verify --quote changed.quote --signature changed.sig --key ak.pem --nonce e2ea7fa1ff3dff40715f5a2f893aa1822c78c8d9c432351191484cfbec3eb488 --event-log changed.log --reference ref.json',
    load: () => import('./verify.ts').then((m) => m.command),
  },
  'attest replay': {
    summary: 'replay a TCG boot event log to PCR values',
    example: 'attest replay boot.log --bank sha256',
    load: () => import('./replay.ts').then((m) => m.command),
  },
  'attest reference': {
    summary: 'derive reference values from golden boot logs',
    example: 'attest reference boot.log --name line --version 1.0.0 --out ref.json',
    load: () => import('./reference.ts').then((m) => m.command),
  },
};
