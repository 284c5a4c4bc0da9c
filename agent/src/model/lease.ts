// Requests a model key: fresh evidence bound to this very connection, and a lease and receipt that are checked before the key is used. If a
// receipt does not verify, the log does not prove the release: the key is not opened.
import { type Evidence, evidenceDocument } from '@edgekeep/core/attest/evidence';
import type { QualifyingPurpose } from '@edgekeep/core/attest/qualifying-data';
import { type Lease, leaseState } from '@edgekeep/core/access/lease';
import { RECEIPT_BYTES_MAX, type ReceiptVerdict, verifyReceipt } from '@edgekeep/core/access/receipt';
import { namesEvidence } from '@edgekeep/core/access/release-evidence';
import type { Trust } from '@edgekeep/core/access/trust';
import { boundToAsk, offersBoundWraps } from '@edgekeep/core/access/release-ask';
import { hybridWrapType, type WrapContext, type WrapType } from '@edgekeep/core/access/wrap-context';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import type { Tier } from '@edgekeep/core/attest/tier';
import { equalBytes, parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import { releasePolicyDigest } from '@edgekeep/core/model/release-policy';
import { HardwareError, leaseCounterCodes } from '@edgekeep/hardware/error';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import {
  entryVersionHeader,
  receiptVersionHeader,
  receiptVersionTwo,
  releaseResponse,
  saltedEntryVersion,
} from '@edgekeep/wire/api/access';
import type { z } from 'zod';
import type { Prover } from '../attest/attest.ts';
import type { HubLink } from '../hub/connection.ts';
import type { HybridKey } from '../hub/hybrid-key.ts';
import { AgentError } from '../error.ts';
import { type Emit, failureEvent } from '../event.ts';
import { type Answer, postToHub } from '../hub-api.ts';
import { type Clocks, Lifetime, type ClockReading, readClocks } from '../hub/lifetime.ts';
import type { VerifiedModel } from './model.ts';

export interface KeyGrant {
  readonly lease: Lease;
  readonly wrappedKey: WrappedKey;
  /** What the key must be for, from what was asked for and what the receipt proves. */
  readonly context: WrapContext;
  readonly attestationResult: string;
  /** The receipt file's bytes. */
  readonly receipt: Uint8Array;
  /** From the time of the request, so that a late answer does not extend it. */
  readonly life: Lifetime;
}

export interface LeaseDependencies {
  readonly deviceId: string;
  /** Of this device's own root of trust. */
  readonly tier: Tier;
  readonly link: Pick<HubLink, 'withChallenge' | 'hybridKey'>;
  readonly hybridKey: Pick<HybridKey, 'wraps'>;
  readonly prover: Pick<Prover, 'evidence' | 'leaseCounter'>;
  /** Pinned: the log's key, the verifiers' keys, the publishers' keys; a quorum of 0, because witnesses sign later. */
  readonly trust: Trust;
  readonly clocks: Clocks;
}

/** Seconds that the hub's clock may be ahead of ours. */
const CLOCK_SKEW_SECONDS_MAX = 300;

/**
 * The fault of a clock that is so far ahead of the hub's that a key would be refused for it; `leaseMs` is the length of leases, when it is
 * known.
 */
export function clockFault(skewMs: number | undefined, leaseMs: number | undefined): AgentError | undefined {
  if (skewMs === undefined) return undefined;
  const seconds = Math.round(Math.abs(skewMs) / 1_000);
  if (-skewMs > CLOCK_SKEW_SECONDS_MAX * 1_000)
    return new AgentError('clock-behind', `this device's clock is ${seconds} s behind the hub's: set it`);
  if (leaseMs !== undefined && skewMs >= leaseMs)
    return new AgentError('clock-ahead', `this device's clock is ${seconds} s ahead of the hub's: set it`);
  return undefined;
}

/** The share of a lease after which the next one is requested, as the hub says. */
export function renewalShareOf({ notBefore, renewAfter, notAfter }: Lease): number {
  return (renewAfter - notBefore) / (notAfter - notBefore);
}

/** `onLease` receives the length of leases, milliseconds, also for one that is then refused. */
export function requestKey(
  dependencies: LeaseDependencies,
  model: VerifiedModel,
  onLease: (lengthMs: number) => void = () => {},
): Promise<Answer<KeyGrant>> {
  return dependencies.link.withChallenge(async ({ nonce, exporter, pcrs, send, known }) => {
    const { prover } = dependencies;
    const { name, version } = model;
    // The hub's nonce says whether it makes bound keys, and this quote covers it: nobody between them can bring both back to the form before.
    const wraps = wrapsFor(dependencies, nonce);
    assertPublisherPermits(dependencies.tier, model, wraps === undefined ? 'former' : 'bound');
    const [purpose, bound]: [QualifyingPurpose, Uint8Array] =
      wraps === undefined
        ? ['release', exporter]
        : ['bound-release', boundToAsk(exporter, { model: name, version, wraps })];
    const shown = await prover.evidence(purpose, nonce, bound, pcrs, { send, known });
    const evidence = evidenceDocument(shown);
    const counter = await prover.leaseCounter(purpose, nonce, bound);
    const leaseCounter = counter && {
      attest: toBase64url(counter.attest),
      signature: toBase64url(counter.signature),
    };
    const ask = { model: name, version, wraps, evidence, leaseCounter };
    const begun = readClocks(dependencies.clocks);
    const answer = await postToHub(send, '/v1/releases', ask, releaseResponse, {
      [entryVersionHeader]: saltedEntryVersion,
      [receiptVersionHeader]: receiptVersionTwo,
    });
    if (answer.kind === 'refused') return answer;
    const { notBefore, notAfter } = answer.value.lease;
    onLease((notAfter - notBefore) * 1_000);
    return { kind: 'ok', value: checkedGrant(dependencies, model, { answer: answer.value, wraps, shown }, begun) };
  });
}

/** Invalidates all leases in hardware, where supported. A failure is reported and stops nothing. */
export async function endLeases(rootOfTrust: Pick<RootOfTrust, 'endLeases'>, emit: Emit): Promise<void> {
  try {
    await rootOfTrust.endLeases?.();
  } catch (error) {
    // Without a counter no key was released under its terms.
    if (error instanceof HardwareError && leaseCounterCodes.has(error.code)) return;
    emit(failureEvent('lease', error));
  }
}

export interface GrantAnswer {
  readonly answer: z.infer<typeof releaseResponse>;
  /** The types of wrapped keys that were asked for; undefined from a hub of the version before. */
  readonly wraps: readonly string[] | undefined;
  /** The evidence in the request. */
  readonly shown: Evidence;
}

/** The types of wrapped keys to ask for; undefined: the form before. Throws `lease-refused` where this hub makes less than it made before. */
function wrapsFor({ hybridKey, link }: LeaseDependencies, nonce: Uint8Array): readonly WrapType[] | undefined {
  const wraps = hybridKey.wraps(link.hybridKey);
  if (offersBoundWraps(nonce)) return wraps;
  if (!wraps.includes(hybridWrapType)) return undefined;
  throw refused('this hub wraps for no hybrid key, and one has registered that of this device');
}

/** Throws `lease-refused` where the publisher gives this device no key, before one is asked for. */
function assertPublisherPermits(
  tier: Tier,
  { name, manifest: { releasePolicy } }: VerifiedModel,
  form: 'bound' | 'former',
): void {
  if (releasePolicy === undefined) return;
  if (form === 'former')
    throw refused(`the publisher of ${name} says who may get its key, and this hub is too old to show it`);
  if (!releasePolicy.tiers.includes(tier))
    throw refused(
      `the publisher of ${name} gives its key to ${releasePolicy.tiers.join(', ')}, this device is ${tier}`,
    );
}

/** Throws `lease-refused` unless lease and receipt are about this device, this model and now; `begun` is the time of the request. */
export function checkedGrant(
  { deviceId, trust }: Pick<LeaseDependencies, 'deviceId' | 'trust'>,
  model: VerifiedModel,
  { answer, wraps, shown }: GrantAnswer,
  begun: ClockReading,
): KeyGrant {
  const { lease, wrappedKey, attestationResult } = answer;
  const form = wraps === undefined ? wrappedKey.type === undefined : wraps.includes(wrappedKey.type ?? '');
  if (!form)
    throw refused(
      `its key is wrapped as ${wrappedKey.type ?? 'of the version before'}, asked for ${wraps?.join(', ') ?? 'that form'}`,
    );
  const about = [lease.deviceId, lease.model, lease.version, lease.manifestDigest].join(' ');
  const expected = [deviceId, model.name, model.version, model.digestHex].join(' ');
  if (about !== expected) throw refused(`it is for ${about}, expected ${expected}`);
  const nowSeconds = Math.floor(begun.wallMs / 1_000);
  if (lease.notBefore > nowSeconds + CLOCK_SKEW_SECONDS_MAX)
    throw refused(`it begins ${lease.notBefore - nowSeconds} s from now: set the clock`);
  if (leaseState(lease, Math.max(nowSeconds, lease.notBefore)) === 'expired')
    throw refused('it has already ended: set the clock');
  const receipt = parseBase64url(answer.receipt, 'receipt');
  if (receipt.length > RECEIPT_BYTES_MAX) throw refused(`a receipt of ${receipt.length} bytes`);
  const verdict = receiptVerdict(receipt, trust, model);
  if (verdict.kind === 'refused') throw refused(`its receipt does not verify: ${verdict.reasons.join('; ')}`);
  const proven = encodeCanonicalJson({ ...verdict.summary.release.lease });
  if (!equalBytes(proven, encodeCanonicalJson({ ...lease }))) throw refused('the receipt proves another lease');
  const { wrap } = verdict.summary.release;
  if ((wrap === hybridWrapType) !== (wrappedKey.type === hybridWrapType))
    throw refused(`the receipt says that its key is wrapped as ${wrap ?? 'of the version before'}`);
  // A hub of the version before names no evidence.
  const { evidence } = verdict.summary.release;
  if (evidence !== undefined && !namesEvidence(evidence, shown))
    throw refused('the receipt rests on other evidence than this device showed');
  const life = new Lifetime(begun, (lease.notAfter - lease.notBefore) * 1_000);
  const { releasePolicy } = model.manifest;
  const context: WrapContext = {
    purpose: 'model key',
    lease,
    ...(releasePolicy !== undefined && { releasePolicy: releasePolicyDigest(releasePolicy) }),
  };
  return { lease, wrappedKey, context, attestationResult, receipt, life };
}

function receiptVerdict(
  receipt: Uint8Array,
  trust: Trust,
  { manifestBytes, signature }: VerifiedModel,
): ReceiptVerdict {
  try {
    return verifyReceipt(receipt, trust, { manifest: manifestBytes, modelSignature: signature }, 'later');
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return { kind: 'refused', reasons: [error.message] };
  }
}

function refused(why: string): AgentError {
  return new AgentError('lease-refused', `the lease is not accepted: ${why}`);
}
