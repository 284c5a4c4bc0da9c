// Verifies a TPM quote (TPM 2.0 Part 3, 18.4 TPM2_Quote) against everything that the verifier knows: key, nonce, selection, the replayed
// log and the boots seen before. PCR values that a device claims are never used; the quoted digest must be the digest of the replayed log.
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
import { parseTpmSignature, untriedReason, verifyTpmSignature } from '../tpm/signature.ts';
import { type LastQuote, setBackReason } from './boot-clock.ts';
import type { Reason, ReasonCode } from './reason.ts';
import { IMA_PCR } from './reference-values.ts';

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
 * except what the TPM itself made.
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

export interface QuoteExpectations {
  readonly key: AttestationKey;
  readonly qualifyingData: Uint8Array;
  /** PCRs of the sha256 bank, ascending: exactly these must be quoted. */
  readonly pcrs: readonly number[];
  /** The value of a PCR according to the replayed log. `unchecked` proves nothing about the boot: for reading a quote without its log. */
  readonly pcrValue: ((pcr: number) => Uint8Array) | 'unchecked';
  /** The values that PCR 10 had while the IMA log extended it, in order: the log is read after the quote, so any of them may be the quoted one. */
  readonly imaValues?: readonly Uint8Array[] | undefined;
  /** The last quote accepted under this key. */
  readonly lastQuote?: LastQuote | undefined;
  /** When this quote was asked for: since then, a newer one may have arrived before it. */
  readonly askedMs?: number | undefined;
}

export type QuoteVerdict =
  | {
      readonly kind: 'verified';
      readonly attest: QuoteAttest;
      /** How many entries of the IMA log the quote covers; undefined when PCR 10 was not quoted, or the quote came without its log. */
      readonly imaEntries?: number | undefined;
    }
  | { readonly kind: 'refused'; readonly reasons: readonly Reason[] };

/** Verifies `quote` (TPMS_ATTEST) and `signature` (TPMT_SIGNATURE). A broken structure throws `tpm-structure-invalid` or a bytes code. */
export function verifyQuote(quote: Uint8Array, signature: Uint8Array, expected: QuoteExpectations): QuoteVerdict {
  const parsedSignature = parseTpmSignature(signature);
  if (!verifyTpmSignature(parsedSignature, quote, expected.key.publicKey)) {
    const untried = untriedReason(parsedSignature, expected.key.publicKey);
    const problem = untried ?? 'it does not verify under the attestation key';
    return refused('signature-invalid', `the signature over the quote: ${problem}`);
  }
  // Part 2, 10.12.12: magic and type, without which an unrestricted key could have signed anything.
  const attest = parseAttest(quote);
  if (attest.kind !== 'quote') return refused('not-a-quote', `the attestation is a ${attest.kind}, expected a quote`);
  const pcrs = explainPcrs(attest, expected, parsedSignature.hash);
  const found = [
    signerReason(attest, expected.key),
    qualifyingDataReason(attest, expected.qualifyingData),
    pcrs.reason,
    expected.lastQuote === undefined
      ? undefined
      : setBackReason(attest.clockInfo, expected.lastQuote, expected.askedMs),
  ];
  const reasons = found.filter((reason) => reason !== undefined);
  if (reasons.length > 0) return { kind: 'refused', reasons };
  return { kind: 'verified', attest, ...(pcrs.imaEntries === undefined ? {} : { imaEntries: pcrs.imaEntries }) };
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

interface Explained {
  readonly reason?: Reason;
  readonly imaEntries?: number;
}

function explainPcrs(attest: QuoteAttest, expected: QuoteExpectations, hash: TpmHash): Explained {
  const { pcrs, pcrValue, imaValues } = expected;
  const wanted: readonly PcrSelection[] = [{ bank: 'sha256', pcrs }];
  if (pcrs.length > 0 && attest.selections.every((each) => each.bank === 'sha1' || each.pcrs.length === 0)) {
    const message = `the quote covers ${describeSelections(attest.selections)}, and no PCR of the SHA-256 bank, so the TPM has that bank turned off: turn it on in the setup of the firmware, or tpm2_pcrallocate sha256:all, and restart the machine`;
    return { reason: { code: 'pcr-bank-missing', message } };
  }
  if (pcrs.length === 0 || !equalPcrSelections(attest.selections, wanted)) {
    const message = `the quote covers ${describeSelections(attest.selections)}, expected ${describeSelections(wanted)}`;
    return { reason: { code: 'pcr-selection-mismatch', message } };
  }
  if (pcrValue === 'unchecked') return {};
  const values = pcrs.map(pcrValue);
  const at = imaValues === undefined ? -1 : pcrs.indexOf(IMA_PCR);
  if (imaValues !== undefined && at !== -1) {
    // From the end: the log is at most a few entries longer than the quote.
    const imaEntries = imaValues.findLastIndex((value) => {
      values[at] = value;
      return equalBytes(attest.pcrDigest, pcrDigest(values, hash));
    });
    if (imaEntries !== -1) return { imaEntries };
    values[at] = imaValues.at(-1) ?? pcrValue(IMA_PCR);
  }
  const digest = pcrDigest(values, hash);
  if (equalBytes(attest.pcrDigest, digest)) return {};
  const message = `the log replays PCRs ${pcrs.join(',')} to the digest ${toHex(digest)}, the TPM quotes ${toHex(attest.pcrDigest)}: ${whyOf(expected, at)}`;
  return { reason: { code: 'pcr-digest-mismatch', message } };
}

function whyOf({ pcrs, imaValues }: QuoteExpectations, at: number): string {
  if (at !== -1)
    return `the logs are not what was measured, with any number of the ${(imaValues?.length ?? 1) - 1} IMA entries`;
  if (pcrs.includes(IMA_PCR))
    return `the log is not what was measured; PCR ${IMA_PCR} was quoted and came without its IMA log`;
  return 'the log is not what was measured';
}

function describeSelections(selections: readonly PcrSelection[]): string {
  return selections.map(({ bank, pcrs }) => `${bank}:${pcrs.join(',')}`).join('+') || 'nothing';
}

function refused(code: ReasonCode, message: string): QuoteVerdict {
  return { kind: 'refused', reasons: [{ code, message }] };
}
