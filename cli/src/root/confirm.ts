// A root signs nothing before a person has seen what it is and agreed.
import { askOnTerminal } from '@edgekeep/host/secret-input';
import { type Arguments, UsageError } from '../command.ts';

/** Shows `lines` and asks; `--yes` answers. Throws a usage error when nobody agrees. */
export async function confirm(args: Arguments, question: string, lines: readonly string[]): Promise<void> {
  process.stderr.write(`${lines.map((line) => `  ${line}`).join('\n')}\n`);
  if (args.flag('yes')) return;
  const answer = await askOnTerminal(`${question} Type yes: `);
  if (answer === undefined) throw new UsageError('there is no terminal to ask on: use --yes');
  if (answer.trim() !== 'yes') throw new UsageError('nothing was signed');
}

/** A whole number of days. */
export function daysOf(args: Arguments, standard: number, maxDays: number, name = 'days'): number {
  const text = args.option(name);
  if (text === undefined) return standard;
  const days = Number(text);
  if (/^\d{1,5}$/.test(text) && days >= 1 && days <= maxDays) return days;
  throw new UsageError(`--${name} takes a whole number from 1 to ${maxDays}`);
}
