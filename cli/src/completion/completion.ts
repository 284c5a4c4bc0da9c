// `edgekeep completion`: prints the script of a shell.
import { type Command, exitCodes, UsageError } from '../command.ts';
import type { Verb, Verbs } from '../verb.ts';
import { type CompletedVerb, shells } from './shell-scripts.ts';

export function completionOf(verbs: Verbs): Command {
  return {
    usage: 'completion bash|zsh|fish',
    help: `
Prints a script for the shell, which then completes verbs and options with the tab key. Everything else it completes as file names.
The script has the words of this version: write it anew after an upgrade.

  bash   edgekeep completion bash > ~/.local/share/bash-completion/completions/edgekeep
  zsh    edgekeep completion zsh > DIR/_edgekeep, where DIR is in $fpath before compinit runs
  fish   edgekeep completion fish > ~/.config/fish/completions/edgekeep.fish`,
    positionals: { min: 1, max: 1 },
    options: {},
    async run({ positionals: [shell = ''] }) {
      const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
      if (script === undefined) throw new UsageError(`expected ${Object.keys(shells).join(', ')}, found ${shell}`);
      const text = script(await completedVerbs(verbs));
      return { exitCode: exitCodes.ok, value: { shell, script: text }, text };
    },
  };
}

/** What the scripts are made from. */
export function completedVerbs(verbs: Verbs): Promise<readonly CompletedVerb[]> {
  return Promise.all(Object.entries(verbs).map(([name, verb]) => completed(name, verb, verbs)));
}

async function completed(name: string, { summary, load }: Verb, verbs: Verbs): Promise<CompletedVerb> {
  const { options } = await load(verbs);
  return { name, summary, options: [...Object.keys(options), 'json', 'help'].map((option) => `--${option}`) };
}
