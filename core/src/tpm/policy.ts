// Policy digests (TPM 2.0 Part 3, 23): each function takes the digest so far and gives the digest after one policy command, as
// a TPM computes it in a policy session. Begin with `emptyPolicy()`; the order of the steps matters.
import { ByteWriter, concat } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { digest, hashSize, type TpmHash } from './algorithm.ts';
import { commandCodes } from './command-code.ts';
import { encodePcrSelections, type PcrSelection } from './pcr-selection.ts';

/** TPM_EO (Part 2, 6.8): how a stored value A is compared with operand B. */
export const comparisons = {
  equal: 0x0000,
  notEqual: 0x0001,
  unsignedGreater: 0x0003,
  unsignedLess: 0x0005,
  unsignedGreaterOrEqual: 0x0007,
  unsignedLessOrEqual: 0x0009,
} as const;
export type Comparison = keyof typeof comparisons;

/** A comparison of an NV index or of TPMS_TIME_INFO from `offset` on with `operand`. */
export interface ComparisonTerm {
  readonly operand: Uint8Array;
  readonly offset: number;
  readonly operation: Comparison;
}

/** TPML_DIGEST holds 2 to 8 branches (Part 3, 23.6). */
const BRANCHES_MAX = 8;
const none = new Uint8Array(0);

/** The digest of a session before its first step. */
export function emptyPolicy(hash: TpmHash = 'sha256'): Uint8Array {
  return new Uint8Array(hashSize(hash));
}

/** The selected PCRs have the values whose `pcrDigest` is given. */
export function policyPcr(
  policy: Uint8Array,
  selections: readonly PcrSelection[],
  pcrDigest: Uint8Array,
  hash: TpmHash = 'sha256',
): Uint8Array {
  return extend(policy, hash, commandCodes.policyPcr, encodePcrSelections(selections), pcrDigest);
}

/** The caller knows the authorization value of an entity, for example of the endorsement hierarchy. */
export function policySecret(
  policy: Uint8Array,
  entityName: Uint8Array,
  policyRef: Uint8Array = none,
  hash: TpmHash = 'sha256',
): Uint8Array {
  return extendTwice(policy, hash, commandCodes.policySecret, entityName, policyRef);
}

/** The key named `keyName` signed for this session. */
export function policySigned(
  policy: Uint8Array,
  keyName: Uint8Array,
  policyRef: Uint8Array = none,
  hash: TpmHash = 'sha256',
): Uint8Array {
  return extendTwice(policy, hash, commandCodes.policySigned, keyName, policyRef);
}

/** The steps so far are one policy that the key named `keyName` approved; replaces them, so it depends on the key and `policyRef` only. */
export function policyAuthorize(
  keyName: Uint8Array,
  policyRef: Uint8Array = none,
  hash: TpmHash = 'sha256',
): Uint8Array {
  return extendTwice(emptyPolicy(hash), hash, commandCodes.policyAuthorize, keyName, policyRef);
}

/** What the approving key signs for PolicyAuthorize: sign this message with the key's hash, here SHA-256. */
export function policyApprovalMessage(approvedPolicy: Uint8Array, policyRef: Uint8Array = none): Uint8Array {
  return concat(approvedPolicy, policyRef);
}

/** The contents of an NV index compare as `term` says; `nvName` is the index's Name. */
export function policyNv(
  policy: Uint8Array,
  nvName: Uint8Array,
  term: ComparisonTerm,
  hash: TpmHash = 'sha256',
): Uint8Array {
  return extend(policy, hash, commandCodes.policyNv, termDigest(term, hash), nvName);
}

/** A field of the TPM's TPMS_TIME_INFO (time, clock, resetCount, restartCount, safe) compares as `term` says. */
export function policyCounterTimer(policy: Uint8Array, term: ComparisonTerm, hash: TpmHash = 'sha256'): Uint8Array {
  return extend(policy, hash, commandCodes.policyCounterTimer, termDigest(term, hash));
}

/** The steps so far gave one of the branches; replaces them. */
export function policyOr(branches: readonly Uint8Array[], hash: TpmHash = 'sha256'): Uint8Array {
  if (branches.length < 2 || branches.length > BRANCHES_MAX) {
    throw new CoreError('tpm-policy-invalid', `PolicyOR takes 2 to ${BRANCHES_MAX} branches, found ${branches.length}`);
  }
  for (const branch of branches) requireDigest(branch, hash);
  return extend(emptyPolicy(hash), hash, commandCodes.policyOr, ...branches);
}

/** The authorized command is the one with this TPM_CC. */
export function policyCommandCode(policy: Uint8Array, commandCode: number, hash: TpmHash = 'sha256'): Uint8Array {
  return extend(policy, hash, commandCodes.policyCommandCode, new ByteWriter().u32(commandCode).finish());
}

/** The caller proves the object's authorization value, by the HMAC of its session. */
export function policyAuthValue(policy: Uint8Array, hash: TpmHash = 'sha256'): Uint8Array {
  return extend(policy, hash, commandCodes.policyAuthValue);
}

function termDigest({ operand, offset, operation }: ComparisonTerm, hash: TpmHash): Uint8Array {
  return digest(hash, operand, new ByteWriter().u16(offset).u16(comparisons[operation]).finish());
}

function extend(policy: Uint8Array, hash: TpmHash, commandCode: number, ...values: readonly Uint8Array[]): Uint8Array {
  requireDigest(policy, hash);
  return digest(hash, policy, new ByteWriter().u32(commandCode).finish(), ...values);
}

/** PolicyUpdate() of Part 3, 23.2.3: the policyRef is hashed in by a second step. */
function extendTwice(
  policy: Uint8Array,
  hash: TpmHash,
  commandCode: number,
  name: Uint8Array,
  policyRef: Uint8Array,
): Uint8Array {
  return digest(hash, extend(policy, hash, commandCode, name), policyRef);
}

function requireDigest(policy: Uint8Array, hash: TpmHash): void {
  if (policy.length !== hashSize(hash)) {
    throw new CoreError('tpm-policy-invalid', `a policy digest of ${policy.length} bytes, expected ${hashSize(hash)}`);
  }
}
