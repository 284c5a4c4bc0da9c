// Options that take numbers, read in one way for every verb: digits, as people write them. `1e3`, `0x10`, an empty text and `Infinity` are none.
import { type Arguments, UsageError } from './command.ts';

const secondsPer = { hours: 3_600, days: 86_400 } as const;

/** A whole number above 0; undefined where the option is left out. */
export function countIn(args: Pick<Arguments, 'option'>, name: string): number | undefined {
  const text = args.option(name);
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--${name} takes a whole number above 0`);
  return Number(text);
}

/** A whole number from 0 on, as of an entry; undefined where the option is left out. */
export function indexIn(args: Pick<Arguments, 'option'>, name: string): number | undefined {
  const text = args.option(name);
  if (text === undefined) return undefined;
  if (!/^(?:0|[1-9]\d{0,14})$/.test(text)) throw new UsageError(`--${name} takes a whole number from 0 on`);
  return Number(text);
}

/** Seconds, from an option in hours or days that may have a fraction; undefined where it is left out. */
export function secondsIn(
  args: Pick<Arguments, 'option'>,
  name: string,
  unit: keyof typeof secondsPer,
  { mayBeZero = false } = {},
): number | undefined {
  const text = args.option(name);
  if (text === undefined) return undefined;
  const amount = /^(?:\d{1,5}(?:\.\d{1,9})?|\.\d{1,9})$/.test(text) ? Number(text) : Number.NaN;
  if (!(amount > 0) && !(mayBeZero && amount === 0))
    throw new UsageError(`--${name} takes a number of ${unit}, ${mayBeZero ? 'at least' : 'above'} 0`);
  return Math.ceil(amount * secondsPer[unit]);
}
