// `--values`, `--mean` and `--deviation`: how pixels become the values of a model's input.
import type { PixelValues } from '@edgekeep/core/model/guard-tool';
import { type Arguments, UsageError } from '../command.ts';

export const pixelValuesOptions = {
  values: { type: 'string' },
  mean: { type: 'string' },
  deviation: { type: 'string' },
} as const;

export const pixelValuesHelp = `--values    BLACK:WHITE, the values of the input for a black and a white pixel: 0:1, 0:255, -1:1
--mean, --deviation  instead, for values that are normalized by channel: (pixel / 255 - mean) / deviation, for example
            --mean 0.485,0.456,0.406 --deviation 0.229,0.224,0.225`;

/** @throws UsageError */
export function pixelValues(args: Arguments): PixelValues | undefined {
  const [values, mean, deviation] = ['values', 'mean', 'deviation'].map((name) => args.option(name));
  if (values !== undefined && (mean !== undefined || deviation !== undefined))
    throw new UsageError('--values, or --mean and --deviation');
  if (values !== undefined) {
    const [black, white, ...more] = values.split(':').map((part) => numberOf('values', part));
    if (black === undefined || white === undefined || more.length > 0 || black === white)
      throw new UsageError('--values is BLACK:WHITE, for example 0:1');
    return { black, white };
  }
  if (mean === undefined && deviation === undefined) return undefined;
  if (mean === undefined || deviation === undefined) throw new UsageError('--mean and --deviation belong together');
  const list = (name: string, text: string) => text.split(',').map((part) => numberOf(name, part));
  return { mean: list('mean', mean), deviation: list('deviation', deviation) };
}

export function numberOf(name: string, text: string): number {
  const number = Number(text);
  if (text.trim() === '' || !Number.isFinite(number))
    throw new UsageError(`--${name}: ${JSON.stringify(text)} is no number`);
  return number;
}
