// OperationalFlags (DICE Attestation Architecture 1.1, section 6.1.1): what is wrong or unfinished about a layer, one named bit each.
import type { BitString, DerReader } from '../../der.ts';
import { CoreError } from '../../error.ts';

/** Named bits in their order; `fixedWidth`, bit 31, only keeps the string long. */
export const operationalFlags = [
  'notConfigured',
  'notSecure',
  'recovery',
  'debug',
  'notReplayProtected',
  'notIntegrityProtected',
  'notRuntimeMeasured',
  'notImmutable',
  'notTcb',
] as const;

export type OperationalFlag = (typeof operationalFlags)[number];

/** Flags in a certificate: those with a name, and the numbers of others that are set. */
export interface FlagSet {
  readonly named: readonly OperationalFlag[];
  readonly unnamed: readonly number[];
}

export const noFlags: FlagSet = { named: [], unnamed: [] };

const BITS_MAX = 32;
const fixedWidthBit = 31;

/** Reads a bit string under an implicit tag. Accepts trailing zero bits: implementations write them, and they mean nothing. */
export function readFlags(reader: DerReader, tag: number): FlagSet {
  const { bytes, unusedBits }: BitString = reader.bitString(tag);
  const bits = bytes.length * 8 - unusedBits;
  if (bits > BITS_MAX) throw new CoreError('der-invalid', `TcbInfo: ${bits} flags, at most ${BITS_MAX}`);
  const set = Array.from({ length: bits }, (_, bit) => bit).filter(
    (bit) => ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0,
  );
  return {
    named: operationalFlags.filter((_, bit) => set.includes(bit)),
    unnamed: set.filter((bit) => bit >= operationalFlags.length && bit !== fixedWidthBit),
  };
}

/** The flags that `flags` has and `allowed` lacks, and the named flags without a statement because the mask leaves them out. */
export function flagProblems(
  flags: FlagSet,
  mask: FlagSet | undefined,
  allowed: readonly OperationalFlag[],
): readonly string[] {
  const set = flags.named.filter((flag) => !allowed.includes(flag)).map((flag) => `${flag} is set`);
  const unnamed = flags.unnamed.map((bit) => `bit ${bit} is set, which has no name here`);
  const unknown =
    mask === undefined
      ? []
      : operationalFlags
          .filter((flag) => !mask.named.includes(flag) && !flags.named.includes(flag) && !allowed.includes(flag))
          .map((flag) => `${flag} is not reported (flagsMask)`);
  return [...set, ...unnamed, ...unknown];
}
