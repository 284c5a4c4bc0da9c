// Verbs of the command line: `completion`.
import type { Verbs } from '../verb.ts';

/** `all` gives every verb there is; it is called when the verb is loaded. */
export const completionVerbs = (all: () => Verbs): Verbs => ({
  completion: {
    summary: 'a script with which a shell completes verbs and options',
    example: 'completion bash > ~/.local/share/bash-completion/completions/edgekeep',
    load: () => import('./completion.ts').then((m) => m.completionOf(all())),
  },
});
