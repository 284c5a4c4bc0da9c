// Verbs of the command line: `completion`.
import type { Verbs } from '../verb.ts';

export const completionVerbs: Verbs = {
  completion: {
    summary: 'print a script with which a shell completes verbs and options',
    example: 'completion bash > ~/.local/share/bash-completion/completions/edgekeep',
    load: (all) => import('./completion.ts').then((m) => m.completionOf(all)),
  },
};
