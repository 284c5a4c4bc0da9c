// A verb as the list of verbs shows it. Its module is loaded only when the verb is used, so that offline verbs and the list start fast.
import type { Command } from './command.ts';

export interface Verb {
  /** One line for the list of verbs. */
  readonly summary: string;
  /** One command line that people type, as docs/cli.md shows it. */
  readonly example: string;
  /** `all` are all verbs, for one that is about them. */
  readonly load: (all: Verbs) => Promise<Command>;
}

/** By the words that people type: `device show`. */
export type Verbs = Readonly<Record<string, Verb>>;
