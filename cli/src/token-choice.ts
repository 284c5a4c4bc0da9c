// Chooses a PKCS#11 token on the command line: by label, by slot, or the only one there is.
import { type Arguments, UsageError } from './command.ts';

export const tokenChoiceOptions = { token: { type: 'string' }, slot: { type: 'string' } } as const;

export function tokenChoice(args: Arguments): { label: string } | { slot: number } | Record<string, never> {
  const [label, slot] = [args.option('token'), args.option('slot')];
  if (label !== undefined && slot !== undefined) throw new UsageError('--token and --slot exclude each other');
  if (label !== undefined) return { label };
  if (slot === undefined) return {};
  if (!/^\d{1,9}$/.test(slot)) throw new UsageError('--slot takes a number');
  return { slot: Number(slot) };
}
