// The lease counter (spec/tpm.md, 7): one NV counter in the device's TPM. A key is wrapped for its present value and opens only while the
// value is unchanged; incrementing it ends every lease given before. The index is the same in every TPM, so a verifier computes its Name
// and trusts no answer.
import type { BootCounters } from '../attest/boot-clock.ts';
import type { AttestationKey } from '../attest/quote.ts';
import { ByteReader, equalBytes, toHex } from '../bytes.ts';
import { parseAttest, type TpmsAttest } from '../tpm/attest.ts';
import type { Entity } from '../tpm/command.ts';
import { nvAttributes, nvName, type NvPublic } from '../tpm/commands/nv.ts';
import { parseTpmSignature, untriedReason, verifyTpmSignature } from '../tpm/signature.ts';

/** In the range that TCG reserves for the owner (Registry of Reserved TPM 2.0 Handles, 2.2.2). */
const index = 0x0181ec01;
export const leaseCounterBytes = 8;

/**
 * Its definition. Anybody with access to the TPM may read and increment it: that closes keys and opens none. A counter never decreases, not
 * even when it is defined again (Part 3, 31.3): the first value of a new index is above every value that any counter of this TPM has had.
 */
export const leaseCounterDefinition: NvPublic = {
  index,
  nameAlgorithm: 'sha256',
  attributes: nvAttributes.counter | nvAttributes.authRead | nvAttributes.authWrite | nvAttributes.noDictionaryAttack,
  authPolicy: new Uint8Array(0),
  dataSize: leaseCounterBytes,
};

/** After its first increment: only then it has a value, and this Name. */
const leaseCounterPublic: NvPublic = {
  ...leaseCounterDefinition,
  attributes: leaseCounterDefinition.attributes | nvAttributes.written,
};

export const leaseCounter: Entity = { handle: index, name: nvName(leaseCounterPublic) };

export interface SignedLeaseCounter {
  /** TPMS_ATTEST of TPM2_NV_Certify over the counter. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE over it by the attestation key. */
  readonly signature: Uint8Array;
}

export interface LeaseCounterExpectations {
  readonly key: AttestationKey;
  /** The same as of the quote beside it. */
  readonly qualifyingData: Uint8Array;
  /** Of the quote beside it: both are of one boot. */
  readonly boot: BootCounters;
}

export type LeaseCounterVerdict =
  | { readonly kind: 'verified'; readonly value: bigint }
  | { readonly kind: 'refused'; readonly reasons: readonly { readonly code: string; readonly message: string }[] };

/** The value of the lease counter according to the TPM. A broken structure throws `tpm-structure-invalid` or a bytes code. */
export function verifyLeaseCounter(
  { attest: bytes, signature }: SignedLeaseCounter,
  expected: LeaseCounterExpectations,
): LeaseCounterVerdict {
  const parsed = parseTpmSignature(signature);
  if (!verifyTpmSignature(parsed, bytes, expected.key.publicKey)) {
    const untried = untriedReason(parsed, expected.key.publicKey);
    return refused(
      `the signature over the lease counter: ${untried ?? 'it does not verify under the attestation key'}`,
    );
  }
  const attest = parseAttest(bytes);
  if (attest.kind !== 'nv') return refused(`the attestation is a ${attest.kind}, expected one of an NV index`);
  if (!sameSigner(attest, expected.key)) return refused('the lease counter was signed by another key');
  if (!equalBytes(attest.extraData, expected.qualifyingData)) {
    return refused('the lease counter is not over the qualifying data of the evidence: it is old, or of another ask');
  }
  const { resetCount, restartCount } = attest.clockInfo;
  if (resetCount !== expected.boot.resetCount || restartCount !== expected.boot.restartCount) {
    return refused('the lease counter is of another boot than the evidence');
  }
  if (!equalBytes(attest.indexName, leaseCounter.name)) {
    return refused(`the NV index ${toHex(attest.indexName)} is not the lease counter ${toHex(leaseCounter.name)}`);
  }
  if (attest.offset !== 0 || attest.contents.length !== leaseCounterBytes) {
    return refused(`${attest.contents.length} bytes from ${attest.offset} on are not the whole lease counter`);
  }
  return { kind: 'verified', value: new ByteReader(attest.contents, 'lease counter').u64() };
}

function sameSigner({ qualifiedSigner }: TpmsAttest, { qualifiedName }: AttestationKey): boolean {
  return qualifiedName !== undefined && equalBytes(qualifiedSigner, qualifiedName);
}

function refused(message: string): LeaseCounterVerdict {
  return { kind: 'refused', reasons: [{ code: 'lease-counter-refused', message }] };
}
