// FWIDs: digests of the content of a DICE layer (DICE Attestation Architecture 1.1, section 6.1.1). In reference values and reasons they
// are text, `sha384:<hex>`.
import { toHex } from '../../bytes.ts';
import type { DerReader } from '../../der.ts';
import { CoreError } from '../../error.ts';

/** The algorithms a reference value may name, strong ones only, by the names node:crypto knows. */
export const fwidAlgorithms = {
  sha256: { oid: '2.16.840.1.101.3.4.2.1', length: 32 },
  sha384: { oid: '2.16.840.1.101.3.4.2.2', length: 48 },
  sha512: { oid: '2.16.840.1.101.3.4.2.3', length: 64 },
  'sha3-256': { oid: '2.16.840.1.101.3.4.2.8', length: 32 },
  'sha3-384': { oid: '2.16.840.1.101.3.4.2.9', length: 48 },
  'sha3-512': { oid: '2.16.840.1.101.3.4.2.10', length: 64 },
} as const;

export type FwidAlgorithm = keyof typeof fwidAlgorithms;

export interface Fwid {
  /** Object identifier of the hash algorithm. */
  readonly algorithm: string;
  readonly digest: Uint8Array;
}

const FWIDS_MAX = 16;
// An unknown algorithm may have any digest up to this length; it matches no reference value.
const DIGEST_LENGTH_MAX = 64;

const byOid: ReadonlyMap<string, { readonly name: string; readonly length: number }> = new Map(
  Object.entries(fwidAlgorithms).map(([name, { oid, length }]) => [oid, { name, length }]),
);

/** SEQUENCE SIZE (1..MAX) OF FWID, its content. */
export function readFwids(list: DerReader): readonly Fwid[] {
  const fwids: Fwid[] = [];
  while (!list.done) {
    if (fwids.length === FWIDS_MAX) throw new CoreError('der-invalid', `TcbInfo: over ${FWIDS_MAX} FWIDs`);
    const fwid = list.inside();
    const algorithm = fwid.oid();
    const digest = fwid.octetString();
    fwid.end();
    const wanted = byOid.get(algorithm)?.length;
    const fits =
      wanted === undefined ? digest.length > 0 && digest.length <= DIGEST_LENGTH_MAX : digest.length === wanted;
    if (!fits) throw new CoreError('der-invalid', `TcbInfo: a digest of ${digest.length} bytes under ${algorithm}`);
    fwids.push({ algorithm, digest });
  }
  if (fwids.length === 0) throw new CoreError('der-invalid', 'TcbInfo: an empty list of FWIDs');
  return fwids;
}

/** `sha384:<hex>`; an algorithm without a name here is written as its object identifier. */
export function fwidText({ algorithm, digest }: Fwid): string {
  return `${byOid.get(algorithm)?.name ?? algorithm}:${toHex(digest)}`;
}

/** Whether `fwidText` gives such a text for an algorithm that a reference value may name. */
export function isFwidText(text: string): boolean {
  const [name = '', hex = '', ...rest] = text.split(':');
  const known = Object.entries(fwidAlgorithms).find(([algorithm]) => algorithm === name)?.[1];
  return known !== undefined && rest.length === 0 && /^[0-9a-f]*$/.test(hex) && hex.length === 2 * known.length;
}
