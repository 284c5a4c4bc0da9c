// Asking for a model key: fresh evidence bound to this very connection, and a lease and receipt that are checked before the key is used.
// A receipt that does not verify means a release the log does not prove: the key is not opened.
import { type Lease, leaseState } from '@edgekeep/core/access/lease';
import { receiptBytesMax, type ReceiptVerdict, verifyReceipt } from '@edgekeep/core/access/receipt';
import type { Trust } from '@edgekeep/core/access/trust';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import { equalBytes, parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import { HardwareError } from '@edgekeep/hardware/error';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import * as api from '@edgekeep/wire/device-api';
import type { z } from 'zod';
import { evidenceDocument, type Prover } from './attest.ts';
import type { HubLink } from './connection.ts';
import { AgentError } from './error.ts';
import { type Emit, failureEvent } from './event.ts';
import { type Answer, postToHub } from './hub-api.ts';
import type { VerifiedModel } from './model.ts';

export interface KeyGrant {
  readonly lease: Lease;
  readonly wrappedKey: WrappedKey;
  readonly attestationResult: string;
  /** The receipt file's bytes. */
  readonly receipt: Uint8Array;
}

export interface LeaseParts {
  readonly deviceId: string;
  readonly link: Pick<HubLink, 'withChallenge'>;
  readonly prover: Prover;
  /** Pinned: the log's key, the verifiers' keys, the publishers' keys; a quorum of 0, since witnesses come later. */
  readonly trust: Trust;
  /** Unix milliseconds. */
  readonly clock: () => number;
}

/** Seconds that the hub's clock may be ahead of ours. */
const clockSkewSecondsMax = 300;

export function requestKey(parts: LeaseParts, model: VerifiedModel): Promise<Answer<KeyGrant>> {
  return parts.link.withChallenge(async ({ nonce, exporter, pcrs, send }) => {
    const evidence = evidenceDocument(await parts.prover.evidence('release', nonce, exporter, pcrs));
    const counter = await parts.prover.leaseCounter(nonce, exporter);
    const leaseCounter = counter && {
      attest: toBase64url(counter.attest),
      signature: toBase64url(counter.signature),
    };
    const ask = { model: model.name, version: model.version, evidence, leaseCounter };
    const answer = await postToHub(send, '/v1/releases', ask, api.releaseResponse);
    return answer.kind === 'refused' ? answer : { kind: 'ok', value: checkedGrant(parts, model, answer.value) };
  });
}

/** Has the root of trust open nothing any more that it was given so far, where it can do that. A failure is told and stops nobody. */
export async function endLeases(rootOfTrust: Pick<RootOfTrust, 'endLeases'>, emit: Emit): Promise<void> {
  try {
    await rootOfTrust.endLeases?.();
  } catch (error) {
    // Without a counter no key was given on its terms.
    if (error instanceof HardwareError && error.code === 'lease-counter-unusable') return;
    emit(failureEvent('lease', error));
  }
}

/** Throws `lease-refused` unless lease and receipt are about this device, this model and now. */
export function checkedGrant(
  { deviceId, trust, clock }: Pick<LeaseParts, 'deviceId' | 'trust' | 'clock'>,
  model: VerifiedModel,
  answer: z.infer<typeof api.releaseResponse>,
): KeyGrant {
  const { lease, wrappedKey, attestationResult } = answer;
  const about = [lease.deviceId, lease.model, lease.version, lease.manifestDigest].join(' ');
  const expected = [deviceId, model.name, model.version, model.digestHex].join(' ');
  if (about !== expected) throw refused(`it is for ${about}, expected ${expected}`);
  const nowSeconds = Math.floor(clock() / 1_000);
  if (lease.notBefore > nowSeconds + clockSkewSecondsMax)
    throw refused(`it begins ${lease.notBefore - nowSeconds} s from now: set the clock`);
  if (leaseState(lease, Math.max(nowSeconds, lease.notBefore)) === 'expired')
    throw refused('it is over already: set the clock');
  const receipt = parseBase64url(answer.receipt, 'receipt');
  if (receipt.length > receiptBytesMax) throw refused(`a receipt of ${receipt.length} bytes`);
  const verdict = receiptVerdict(receipt, trust, model);
  if (verdict.kind === 'refused') throw refused(`its receipt does not verify: ${verdict.reasons.join('; ')}`);
  const proven = encodeCanonicalJson({ ...verdict.summary.release.lease });
  if (!equalBytes(proven, encodeCanonicalJson({ ...lease }))) throw refused('the receipt proves another lease');
  return { lease, wrappedKey, attestationResult, receipt };
}

function receiptVerdict(
  receipt: Uint8Array,
  trust: Trust,
  { manifestBytes, signature }: VerifiedModel,
): ReceiptVerdict {
  try {
    return verifyReceipt(receipt, trust, { manifest: manifestBytes, modelSignature: signature });
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return { kind: 'refused', reasons: [error.message] };
  }
}

function refused(why: string): AgentError {
  return new AgentError('lease-refused', `the lease is not accepted: ${why}`);
}
