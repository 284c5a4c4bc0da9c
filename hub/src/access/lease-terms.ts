// The terms under which the TPM of a device lets a key be opened: the boot that was just proven, the TPM's clock until the end of the
// lease, and the lease counter that it signed together with the quote (spec/tpm.md, 7).
import type { Lease } from '@edgekeep/core/access/lease';
import { verifyLeaseCounter } from '@edgekeep/core/access/lease-counter';
import type { LeaseTerms } from '@edgekeep/core/access/lease-terms';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { AttestationKey } from '@edgekeep/core/attest/quote';
import { parseBase64url } from '@edgekeep/core/bytes';
import type { Reason } from '../common/error.ts';

/** As sent in the request; base64url. */
export interface SentLeaseCounter {
  readonly attest: string;
  readonly signature: string;
}

export interface LeaseTermsAsk {
  readonly leaseCounter?: SentLeaseCounter | undefined;
  /** The device's attestation key. */
  readonly key: AttestationKey;
  /** What the evidence was signed over. */
  readonly qualifyingData: Uint8Array;
  /** The appraisal of that evidence; not contraindicated. */
  readonly appraisal: Pick<Appraisal, 'resetCount' | 'restartCount' | 'clock'>;
  readonly lease: Pick<Lease, 'notAfter'>;
  readonly nowMs: number;
}

export type FoundLeaseTerms =
  | { readonly kind: 'found'; readonly terms: LeaseTerms }
  | { readonly kind: 'refused'; readonly reasons: readonly Reason[] };

/** Throws CoreError for broken structures. */
export function leaseTermsFor(ask: LeaseTermsAsk): FoundLeaseTerms {
  const { leaseCounter, key, qualifyingData, appraisal, lease, nowMs } = ask;
  if (leaseCounter === undefined) {
    const message =
      'the device sent no lease counter: its agent is old, or its TPM keeps none (setting lease.enforcedBy)';
    return { kind: 'refused', reasons: [{ code: 'lease-counter-missing', message }] };
  }
  const signed = {
    attest: parseBase64url(leaseCounter.attest, 'lease counter'),
    signature: parseBase64url(leaseCounter.signature, 'lease counter signature'),
  };
  const verdict = verifyLeaseCounter(signed, { key, qualifyingData, boot: appraisal });
  if (verdict.kind === 'refused') return verdict;
  const { resetCount, restartCount, clock } = appraisal;
  // No slack: the clock was quoted before this moment, so its end is never after the end of the lease. If the clock of a TPM runs fast, the
  // TPM closes early; the agent asks for the next lease well before that.
  const clockMost = clock + BigInt(lease.notAfter * 1_000 - nowMs);
  return {
    kind: 'found',
    terms: { resetCount, restartCount, clockMost: `${clockMost}`, counterMost: `${verdict.value}` },
  };
}
