// Verifies a TPM quote (TPM 2.0 Part 3, 18.4 TPM2_Quote) against everything the verifier knows: key, nonce, selection, the replayed log
// and the boots seen before. PCR values a device claims are never used; the quoted digest must be the digest of the replayed log.
import type { KeyObject } from 'node:crypto';
import { equalBytes, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import type { TpmHash } from '../tpm/algorithm.ts';
import { parseAttest, type QuoteAttest } from '../tpm/attest.ts';
import { equalPcrSelections, pcrDigest, type PcrSelection } from '../tpm/pcr-selection.ts';
import {
  type Hierarchy,
  objectAttributes,
  primaryQualifiedName,
  publicKeyOf,
  tpmName,
  type TpmPublic,
} from '../tpm/public-area.ts';
import { parseTpmSignature, verifyTpmSignature } from '../tpm/signature.ts';
import type { Reason, ReasonCode } from './reason.ts';

/** A key evidence is signed with. Keep it: making a KeyObject costs more than a verification. */
export interface AttestationKey {
  readonly publicKey: KeyObject;
  /** The qualified name a quote must carry; undefined for software keys, and for a bare PEM file, where nothing can be compared. */
  readonly qualifiedName?: Uint8Array | undefined;
}

/** The attestation key of a public area that is a primary of `hierarchy`. Throws as `assertAttestationKey` does. */
export function attestationKeyOf(publicArea: TpmPublic, hierarchy: Hierarchy): AttestationKey {
  assertAttestationKey(publicArea);
  return { publicKey: publicKeyOf(publicArea), qualifiedName: primaryQualifiedName(hierarchy, tpmName(publicArea)) };
}

/**
 * Throws `evidence-invalid` unless the key is a restricted signing key, made in its TPM and bound to it: only such a key signs nothing
 * but what the TPM itself made.
 */
export function assertAttestationKey({ attributes }: TpmPublic): void {
  const { fixedTpm, fixedParent, sensitiveDataOrigin, restricted, sign, decrypt } = objectAttributes;
  const wanted = fixedTpm | fixedParent | sensitiveDataOrigin | restricted | sign;
  if ((attributes & (wanted | decrypt)) === wanted) return;
  const found = `0x${(attributes >>> 0).toString(16)}`;
  throw new CoreError(
    'evidence-invalid',
    `attestation key: attributes ${found}, expected a restricted signing key bound to its TPM`,
  );
}

/** A TPM's boot counters; never going backwards for one attestation key. */
export interface BootCounters {
  readonly resetCount: number;
  readonly restartCount: number;
}

export interface QuoteExpectations {
  readonly key: AttestationKey;
  readonly qualifyingData: Uint8Array;
  /** PCRs of the sha256 bank, ascending: exactly these must be quoted. */
  readonly pcrs: readonly number[];
  /** The value of a PCR as the replayed log gives it. `unchecked` proves nothing about the boot: for reading a quote without its log. */
  readonly pcrValue: ((pcr: number) => Uint8Array) | 'unchecked';
  /** The counters of the last quote accepted under this key. */
  readonly lastBoot?: BootCounters | undefined;
}

export type QuoteVerdict =
  | { readonly kind: 'verified'; readonly attest: QuoteAttest }
  | { readonly kind: 'refused'; readonly reasons: readonly Reason[] };

/** Verifies `quote` (TPMS_ATTEST) and `signature` (TPMT_SIGNATURE). A broken structure throws `tpm-structure-invalid` or a bytes code. */
export function verifyQuote(quote: Uint8Array, signature: Uint8Array, expected: QuoteExpectations): QuoteVerdict {
  const parsedSignature = parseTpmSignature(signature);
  if (!verifyTpmSignature(parsedSignature, quote, expected.key.publicKey)) {
    return refused('signature-invalid', 'the signature over the quote does not verify under the attestation key');
  }
  // Part 2, 10.12.12: magic and type, without which an unrestricted key could have signed anything.
  const attest = parseAttest(quote);
  if (attest.kind !== 'quote') return refused('not-a-quote', `the attestation is a ${attest.kind}, expected a quote`);
  const found = [
    signerReason(attest, expected.key),
    qualifyingDataReason(attest, expected.qualifyingData),
    pcrReason(attest, expected, parsedSignature.hash),
    expected.lastBoot === undefined ? undefined : bootReason(attest.clockInfo, expected.lastBoot),
  ];
  const reasons = found.filter((reason) => reason !== undefined);
  return reasons.length === 0 ? { kind: 'verified', attest } : { kind: 'refused', reasons };
}

function signerReason({ qualifiedSigner }: QuoteAttest, { qualifiedName }: AttestationKey): Reason | undefined {
  if (qualifiedName === undefined || equalBytes(qualifiedSigner, qualifiedName)) return undefined;
  const message = `the quote was signed by the key ${toHex(qualifiedSigner)}, expected ${toHex(qualifiedName)}`;
  return { code: 'signer-unexpected', message };
}

function qualifyingDataReason({ extraData }: QuoteAttest, expected: Uint8Array): Reason | undefined {
  if (equalBytes(extraData, expected)) return undefined;
  const message = `the quote is over the qualifying data ${toHex(extraData)}, expected ${toHex(expected)}: it is old, or was made for another purpose`;
  return { code: 'qualifying-data-mismatch', message };
}

function pcrReason(attest: QuoteAttest, { pcrs, pcrValue }: QuoteExpectations, hash: TpmHash): Reason | undefined {
  const wanted: readonly PcrSelection[] = [{ bank: 'sha256', pcrs }];
  if (pcrs.length === 0 || !equalPcrSelections(attest.selections, wanted)) {
    const message = `the quote covers ${describeSelections(attest.selections)}, expected ${describeSelections(wanted)}`;
    return { code: 'pcr-selection-mismatch', message };
  }
  if (pcrValue === 'unchecked') return undefined;
  const digest = pcrDigest(pcrs.map(pcrValue), hash);
  if (equalBytes(attest.pcrDigest, digest)) return undefined;
  const message = `the log replays PCRs ${pcrs.join(',')} to the digest ${toHex(digest)}, the TPM quotes ${toHex(attest.pcrDigest)}: the log is not what was measured`;
  return { code: 'pcr-digest-mismatch', message };
}

function bootReason(found: BootCounters, last: BootCounters): Reason | undefined {
  const sameBoot = found.resetCount === last.resetCount;
  if (found.resetCount > last.resetCount || (sameBoot && found.restartCount >= last.restartCount)) return undefined;
  const message = `the quote is of boot ${found.resetCount}.${found.restartCount}, and ${last.resetCount}.${last.restartCount} was seen already: it is old`;
  return { code: 'reset-count-decreased', message };
}

function describeSelections(selections: readonly PcrSelection[]): string {
  return selections.map(({ bank, pcrs }) => `${bank}:${pcrs.join(',')}`).join('+') || 'nothing';
}

function refused(code: ReasonCode, message: string): QuoteVerdict {
  return { kind: 'refused', reasons: [{ code, message }] };
}
