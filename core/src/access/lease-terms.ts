// The end of a lease as the device's own TPM enforces it (spec/tpm.md, 7): the wrapped key opens in the boot that was proven, until the
// TPM's clock has advanced by the length of the lease, and while the lease counter is unchanged.
import { z } from 'zod';
import { ByteWriter } from '../bytes.ts';
import { type Comparison, type ComparisonTerm, policyCounterTimer, policyNv } from '../tpm/policy.ts';
import { leaseCounter } from './lease-counter.ts';

const U64_MAX = (1n << 64n) - 1n;

/** JSON numbers are exact up to 2^53 only. */
const u64Text = z
  .string()
  .refine(
    (text) => /^(0|[1-9][0-9]{0,19})$/.test(text) && BigInt(text) <= U64_MAX,
    'expected a decimal number of 64 bits',
  );

const u32 = z.int().min(0).max(0xffffffff);

export const leaseTermsSchema = z.strictObject({
  /** `resetCount` and `restartCount` of the boot that was proven. */
  resetCount: u32,
  restartCount: u32,
  /** The TPM's clock at the end of the lease, in milliseconds; one millisecond later the key stays closed. */
  clockMost: u64Text,
  /** The lease counter's value when the key was released. */
  counterMost: u64Text,
});

export type LeaseTerms = Readonly<z.infer<typeof leaseTermsSchema>>;

/** One step of the policy: PolicyNV over the lease counter, all others PolicyCounterTimer. */
export interface LeaseTermStep {
  readonly kind: 'reset-count' | 'restart-count' | 'clock' | 'counter';
  readonly term: ComparisonTerm;
}

/** Offsets of the fields in TPMS_TIME_INFO (Part 2, 10.11.2), after the 8 bytes of `time`. */
const offsets = { clock: 8, resetCount: 16, restartCount: 20 } as const;

/** The steps in the order in which the TPM must take them: the clock is meaningful only within its boot. */
export function leaseTermSteps({
  resetCount,
  restartCount,
  clockMost,
  counterMost,
}: LeaseTerms): readonly LeaseTermStep[] {
  return [
    { kind: 'reset-count', term: term(u32Bytes(resetCount), offsets.resetCount, 'equal') },
    { kind: 'restart-count', term: term(u32Bytes(restartCount), offsets.restartCount, 'equal') },
    { kind: 'clock', term: term(u64Bytes(clockMost), offsets.clock, 'unsignedLessOrEqual') },
    { kind: 'counter', term: term(u64Bytes(counterMost), 0, 'unsignedLessOrEqual') },
  ];
}

/** The policy digest after the steps, `policy` being the one before them. */
export function policyLeaseTerms(policy: Uint8Array, terms: LeaseTerms): Uint8Array {
  return leaseTermSteps(terms).reduce(
    (digest, { kind, term: compared }) =>
      kind === 'counter' ? policyNv(digest, leaseCounter.name, compared) : policyCounterTimer(digest, compared),
    policy,
  );
}

function term(operand: Uint8Array, offset: number, operation: Comparison): ComparisonTerm {
  return { operand, offset, operation };
}

function u32Bytes(value: number): Uint8Array {
  return new ByteWriter().u32(value).finish();
}

function u64Bytes(text: string): Uint8Array {
  return new ByteWriter().u64(BigInt(text)).finish();
}
