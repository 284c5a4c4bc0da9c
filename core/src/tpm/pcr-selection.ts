// The PCRs of a quote or a policy (TPM 2.0 Part 2, 10.9.7 TPML_PCR_SELECTION) and the digest over their values.
import { type ByteReader, ByteWriter, concat } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { digest, hashId, readHash, type TpmHash } from './algorithm.ts';

export type PcrBank = TpmHash;

export interface PcrSelection {
  readonly bank: PcrBank;
  /** Ascending, each at most once, 0 to 23. */
  readonly pcrs: readonly number[];
}

/** A PC Client TPM has 24 PCRs, so its selections are three bytes wide (TCG PC Client Platform TPM Profile 1.05, 4.6). */
export const pcrCount = 24;
const selectionBytes = pcrCount / 8;

/** TPM_NUM_PCR_BANKS is at most 16 in the reference code; more cannot be a real selection. */
const BANKS_MAX = 16;

/** Reads a TPML_PCR_SELECTION inside another structure. A bank named twice or another width than 24 PCRs throws. */
export function readPcrSelections(reader: ByteReader): PcrSelection[] {
  const count = reader.u32();
  if (count > BANKS_MAX) throw invalid(`${count} banks, at most ${BANKS_MAX} are possible`);
  const selections: PcrSelection[] = [];
  for (let index = 0; index < count; index++) {
    const bank = readHash(reader, 'PCR selection bank');
    if (selections.some((selection) => selection.bank === bank)) throw invalid(`bank ${bank} is named twice`);
    const width = reader.u8();
    if (width !== selectionBytes) throw invalid(`a bit map of ${width} bytes, expected ${selectionBytes}`);
    selections.push({ bank, pcrs: pcrsOf(reader.bytes(width)) });
  }
  return selections;
}

/** The PCRs whose bits are set: PCR n is bit n mod 8 of octet n div 8. */
function pcrsOf(bitmap: Uint8Array): number[] {
  const pcrs: number[] = [];
  for (const [octet, byte] of bitmap.entries()) {
    for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) pcrs.push(octet * 8 + bit);
  }
  return pcrs;
}

/** TPML_PCR_SELECTION. A PCR outside 0 to 23, or PCRs not in ascending order, throw. */
export function encodePcrSelections(selections: readonly PcrSelection[]): Uint8Array {
  const writer = new ByteWriter().u32(selections.length);
  for (const { bank, pcrs } of selections) {
    const bitmap = new Uint8Array(selectionBytes);
    let previous = -1;
    for (const pcr of pcrs) {
      if (!Number.isInteger(pcr) || pcr <= previous || pcr >= pcrCount) {
        throw invalid(`PCRs [${pcrs.join(', ')}] are not ascending numbers below ${pcrCount}`);
      }
      const octet = Math.floor(pcr / 8);
      bitmap[octet] = (bitmap[octet] ?? 0) | (1 << (pcr % 8));
      previous = pcr;
    }
    writer.u16(hashId(bank)).u8(selectionBytes).bytes(bitmap);
  }
  return writer.finish();
}

/** The same banks, in the same order, with the same PCRs. */
export function equalPcrSelections(a: readonly PcrSelection[], b: readonly PcrSelection[]): boolean {
  const text = (selections: readonly PcrSelection[]) =>
    selections.map(({ bank, pcrs }) => `${bank}:${pcrs.join(',')}`).join('+');
  return text(a) === text(b);
}

/**
 * Digest over PCR values in selection order (bank by bank, ascending PCR). `hash` is the hash of the signing scheme for a quote and of the
 * policy session for PolicyPCR; SHA-256 in this product.
 */
export function pcrDigest(values: readonly Uint8Array[], hash: TpmHash = 'sha256'): Uint8Array {
  return digest(hash, concat(...values));
}

function invalid(message: string): CoreError {
  return new CoreError('tpm-structure-invalid', `PCR selection: ${message}`);
}
