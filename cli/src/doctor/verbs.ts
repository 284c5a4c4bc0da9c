// Verbs of the command line: `doctor`.
import type { Verbs } from '../verb.ts';

export const doctorVerbs: Verbs = {
  doctor: {
    summary: 'report what this machine has and lacks: TPM, secure element, clock, entropy, memory, permissions',
    example: 'doctor',
    load: () => import('./doctor.ts').then((m) => m.command),
  },
};
