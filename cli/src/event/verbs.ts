// Verbs of the command line: `event`.
import type { Verbs } from '../verb.ts';

export const eventVerbs: Verbs = {
  'event cursors': {
    summary: 'show how far each consumer of the audit log is',
    example: 'event cursors',
    load: () => import('./cursor.ts').then((m) => m.list),
  },
  'event reset-cursor': {
    summary: 'let a consumer of the audit log repeat or skip entries',
    example: 'event reset-cursor webhooks --to 4700 --reason "the receiver lost a day"',
    load: () => import('./cursor.ts').then((m) => m.reset),
  },
};
