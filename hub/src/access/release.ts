// The central decision of the product. It joins who the device is, what it booted, which model it asks for, what the policy says and the
// state of the device, releases one key to one device for a time, and records why (spec/access.md).
import { randomUUID } from 'node:crypto';
import type { Lease } from '@edgekeep/core/access/lease';
import type { LeaseTerms } from '@edgekeep/core/access/lease-terms';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import { type ReleasePolicy, releasePolicyDigest } from '@edgekeep/core/model/release-policy';
import { recordAppraisal, untilReferencesStay } from '../attest/appraiser.ts';
import type { Kept } from '../attest/kept-evidence.ts';
import type { RootKeys } from '../attest/root-keys.ts';
import { HubError, type HubErrorCode, type Reason } from '../common/error.ts';
import { findHybridKey } from '../registry/hybrid-keys.ts';
import { getDevice } from '../registry/states.ts';
import { publishedIn } from '../model/releases.ts';
import { releasePolicyOf } from '../model/release-policy.ts';
import { unwrapModelKey } from '../model/key-wrap.ts';
import { assertEnabled } from '../registry/enablement.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';
import type { ModelReleaseRow } from '../store/tables/model.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { factsDecidedBy } from './decided-by.ts';
import { leaseTermsFor } from './lease-terms.ts';
import { askPublisher, refusedByPublisher } from './publisher-policy.ts';
import { assertWithinBudget, LeasesUsedUp } from './release-budget.ts';
import type { RecordedRelease } from './receipts.ts';
import { wrapForDevice, type WrapTarget, type WrapUse } from '../attest/wrap-target.ts';

import {
  assertCurrent,
  assertMayAsk,
  type Facts,
  factsAsked,
  qualifyingDataOf,
  type ReleaseAsk,
  type ReleaseDependencies,
  type WrapForm,
} from './release-ask.ts';
import { appendRefusal, record, recordRefusal } from './release-record.ts';
import { quorumUnreachable, weighQuorum } from './witness-alarm.ts';
import { alertOfRefusedForm, wrapFormOf } from './wrap-form.ts';

export interface Released {
  readonly lease: Lease;
  readonly wrappedKey: WrappedKey;
  readonly recorded: RecordedRelease;
}

/** Releases a model key or throws a HubError with the reasons. In both cases the audit log has the result before this returns. */
export async function releaseKey(dependencies: ReleaseDependencies, ask: ReleaseAsk): Promise<Released> {
  return untilReferencesStay(() => decideRelease(dependencies, ask));
}

/** Steps 3 to 8 of the decision (access.md, "The decision, in order"). The door does 1, 2 and 10, the receipt is 9. */
async function decideRelease(dependencies: ReleaseDependencies, ask: ReleaseAsk): Promise<Released> {
  const device = await getDevice(dependencies.database.read, ask.deviceId);
  const model = await mayBeReleased(dependencies, device, ask);
  await dependencies.gate.assertKeyExchange({ action: 'releaseKey', device, ...ask });
  const form = await formFor(dependencies, ask);
  const wrapAsk = { device, connection: ask.connection, nowMs: ask.nowMs };
  await dependencies.gate.assertWrap(wrapAsk, 'hybridKey' in form ? 'hybrid' : 'classical');
  const qualified = qualifyingDataOf(ask);
  const appraised = await appraise(dependencies, ask, device, qualified);
  const publisherPolicy = await publisherPermits(dependencies, ask, device, { model, form, ...appraised });
  const lease = leaseFor(ask, model, dependencies.settings.leaseSeconds);
  const asked: Asked = { ask, model, form, ...appraised };
  // First of the device as it was read above: where it has changed since, that shows when the key is recorded.
  const decided = await judge(dependencies, asked, device);
  const facts: Facts = { device, form, ...appraised, lease, publisherPolicy, ...decided };
  const target = dependencies.rootKeys.wrapTarget(device);
  const endedByTpm = target.kind === 'tpm' && dependencies.settings.lease.enforcedBy === 'tpm';
  const terms = endedByTpm ? await leaseTerms(dependencies, ask, facts, qualified) : undefined;
  const { appraisal, attestationResult } = appraised;
  const use = useOf(facts, dependencies.rootKeys);
  const wrappedKey = wrap(dependencies.platformKey, target, model, { appraisal, use, terms });
  using kept = ask.receiptVersion === 2 ? await keepEvidence(dependencies, ask, facts) : undefined;
  const recorded = await recordUnderNewestPolicy(dependencies, asked, { ...facts, kept });
  const about = { namesEvidence: kept !== undefined, receiver: ask.deviceId, attestationResult, model };
  return { lease, wrappedKey, recorded: { ...recorded, ...about } };
}

interface Asked {
  readonly ask: ReleaseAsk;
  readonly form: WrapForm;
  readonly model: ModelReleaseRow;
  readonly appraisal: Appraisal;
  readonly attestationResult: string;
}

/** The files of the evidence are on disk before a row or an entry names them. */
function keepEvidence(
  { evidenceKeeper }: ReleaseDependencies,
  { evidence, connection, wraps }: ReleaseAsk,
  { device, appraisal }: Facts,
): Promise<Kept> {
  return evidenceKeeper.keep({ device, evidence, exporter: connection.exporter, wraps, appraisal });
}

/** 5. The evidence is this device's own, about this boot, for this release on this connection. */
async function appraise(
  { database, appraiser }: ReleaseDependencies,
  { evidence, nonce, askedMs, connection, nowMs }: ReleaseAsk,
  device: DeviceRecord,
  qualified: Uint8Array,
): Promise<Pick<Asked, 'appraisal' | 'attestationResult'>> {
  const expected = { qualifyingData: qualified, nonce, askedMs, nowMs, pieces: connection };
  const { appraisal, attestationResult } = await appraiser.appraise(device, evidence, expected);
  if (appraisal.status === 'contraindicated') {
    await database.writeAsHub((trx) => recordAppraisal(trx, device.id, appraisal, nowMs));
    throw new HubError('attestation-refused', 'the evidence was refused: no key', {
      reasons: appraisal.reasons,
      attestationResult,
    });
  }
  return { appraisal, attestationResult };
}

/** 5a. The publisher permits it, who signed who may get this key. */
async function publisherPermits(
  dependencies: ReleaseDependencies,
  ask: ReleaseAsk,
  device: DeviceRecord,
  { model, form, appraisal, attestationResult }: Omit<Asked, 'ask'>,
): Promise<ReleasePolicy | undefined> {
  const policy = releasePolicyOf(model);
  if (policy === undefined) return undefined;
  const cosigners = dependencies.witnesses.cosignersBesides(device.id);
  const asked = { policy, device, appraisal, attestationResult, cosigners, nowMs: ask.nowMs };
  const verdict = await askPublisher(dependencies.database.read, asked);
  const reasons = verdict.kind === 'refused' ? verdict.reasons : formerAgentReasons(form);
  if (reasons.length === 0) return policy;
  await recordRefusal(dependencies, ask, appraisal, { reasons });
  throw refusedByPublisher(reasons, attestationResult);
}

/** An agent of the version before asks nothing of the policy, and its wrapped key cannot carry it. */
function formerAgentReasons({ type }: WrapForm): readonly Reason[] {
  if (type !== undefined) return [];
  return [
    { code: 'publisher-agent', message: 'the agent is of the version before, and reads no release policy: update it' },
  ];
}

/** 6. The policy in force permits it. `device` is as it was read already; left out, it is read again. */
async function judge(
  dependencies: ReleaseDependencies,
  asked: Asked,
  device?: DeviceRecord,
): Promise<Pick<Facts, 'policy' | 'decidedBy'>> {
  const { ask, model, appraisal, attestationResult } = asked;
  const { read } = dependencies.database;
  const inForce = dependencies.gate.policyNow();
  const now = device ?? (await getDevice(read, ask.deviceId));
  const seen = await factsDecidedBy(read, inForce.policy, factsAsked(dependencies, ask), now);
  const { policy, decision } = await dependencies.gate.judge({
    action: 'releaseKey',
    deviceId: ask.deviceId,
    device: now,
    resource: { kind: 'model', name: model.name, version: model.version, publisher: model.publisher, groups: [] },
    connection: ask.connection,
    appraisal,
    nowMs: ask.nowMs,
  });
  // Another policy may use facts that were not read.
  if (policy !== inForce) return judge(dependencies, asked);
  if (decision.kind === 'permitted') return { policy, decidedBy: seen };
  const { reasons } = decision;
  await recordRefusal(dependencies, ask, appraisal, { policyVersion: policy.version, reasons });
  throw new HubError('release-refused', 'the policy releases no key to this device', { reasons, attestationResult });
}

/**
 * 8. Records the release. A policy that was applied during the decision, or changed facts, may give another answer: the policy is asked again
 * until its facts are unchanged.
 */
async function recordUnderNewestPolicy(
  dependencies: ReleaseDependencies,
  asked: Asked,
  facts: Facts,
): Promise<Pick<RecordedRelease, 'logIndex' | 'entry'>> {
  const recordOnce = (now: Facts) => orRefused(dependencies, asked.ask, () => record(dependencies, asked.ask, now));
  let recorded = await recordOnce(facts);
  for (let times = 0; recorded === 'decided-by-other' && times < ASKED_AGAIN_MAX; times += 1) {
    await dependencies.witnessPolicies.reload();
    recorded = await recordOnce({ ...facts, ...(await judge(dependencies, asked)) });
  }
  if (recorded === 'decided-by-other')
    throw new HubError('conflict', 'the facts that the policy uses change too fast: try again');
  return recorded;
}

// A device that keeps changing its own facts gets no key meanwhile, and costs at most this many tries.
const ASKED_AGAIN_MAX = 20;

const refusals: ReadonlySet<HubErrorCode> = new Set([
  'device-quarantined',
  'device-retired',
  'device-disabled',
  'certificate-required',
  'certificate-revoked',
  'connection-unbound',
  'release-refused',
  'not-found',
]);

/** 3, 4 and 4a. Requests that are refused before the evidence is read; these refusals are logged like the others. */
async function mayBeReleased(
  dependencies: ReleaseDependencies,
  device: DeviceRecord,
  ask: ReleaseAsk,
): Promise<ModelReleaseRow> {
  const { database, settings } = dependencies;
  return orRefused(dependencies, ask, async () => {
    assertMayAsk(device.state);
    assertEnabled(device);
    const release = assertCurrent(ask, await publishedIn(database.read, ask.model));
    await assertWithinBudget(database.read, ask, settings);
    return release;
  });
}

// Logs what `work` refuses. An appraisal that must be repeated is not a refusal. Refusals over the key limit may be frequent: an alert
// counts them, and the log has the keys that were released.
async function orRefused<T>(
  { database, settings, leaseAlarm, witnessPolicies }: ReleaseDependencies,
  ask: ReleaseAsk,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LeasesUsedUp) await leaseAlarm.raise(ask, ask.connection.remoteAddress, settings);
    if (error instanceof HubError && refusals.has(error.code)) {
      const reasons = error.reasons.length > 0 ? error.reasons : [{ code: error.code, message: error.message }];
      await alertOfRefusedForm(database, ask, reasons);
      const unwitnessed = reasons.some(({ code }) => code === quorumUnreachable);
      await database.writeAsHub(async (trx) => {
        if (unwitnessed) await weighQuorum(trx, witnessPolicies.current(), { ...ask, reachable: false });
        await appendRefusal(trx, ask, reasons);
      });
    }
    throw error;
  }
}

/** A key is bound to its use where the agent reads that form; the form before is for agents that do not say what they read. */
function useOf(
  { device, form, lease, publisherPolicy: policy }: Facts,
  rootKeys: Pick<RootKeys, 'hybridKey'>,
): WrapUse {
  if (form.type === undefined) return { form: 'lease-id', leaseId: lease.id };
  const context = { purpose: 'model key', lease, releasePolicy: policy && releasePolicyDigest(policy) } as const;
  if ('hybridKey' in form) return { form: 'hybrid', context, hybridKey: rootKeys.hybridKey(device.id, form.hybridKey) };
  return { form: 'bound', context };
}

/** 4b. The form in which the key is wrapped: by the hybrid key that the device has registered, and by what its agent reads. */
async function formFor(dependencies: ReleaseDependencies, ask: ReleaseAsk): Promise<WrapForm> {
  return orRefused(dependencies, ask, async () =>
    wrapFormOf(ask, await findHybridKey(dependencies.database.read, ask.deviceId)),
  );
}

function leaseFor(ask: ReleaseAsk, model: ModelReleaseRow, leaseSeconds: number): Lease {
  const notBefore = Math.floor(ask.nowMs / 1_000);
  return {
    id: randomUUID(),
    deviceId: ask.deviceId,
    model: model.name,
    version: model.version,
    manifestDigest: model.manifest_digest,
    notBefore,
    notAfter: notBefore + leaseSeconds,
    renewAfter: notBefore + Math.floor((leaseSeconds * 2) / 3),
  };
}

/** 7. A device whose TPM cannot end the lease gets no key. */
async function leaseTerms(
  dependencies: ReleaseDependencies,
  ask: ReleaseAsk,
  { device, appraisal, attestationResult, lease, policy }: Facts,
  qualifyingData: Uint8Array,
): Promise<LeaseTerms> {
  const key = dependencies.rootKeys.attestationKey(device);
  const found = leaseTermsFor({ ...ask, key, qualifyingData, appraisal, lease });
  if (found.kind === 'found') return found.terms;
  const { reasons } = found;
  await recordRefusal(dependencies, ask, appraisal, { policyVersion: policy.version, reasons });
  throw new HubError('release-refused', 'the TPM of this device cannot end the lease', { reasons, attestationResult });
}

function wrap(
  platformKey: PlatformKey,
  target: WrapTarget,
  model: ModelReleaseRow,
  bound: { readonly appraisal: Appraisal; readonly use: WrapUse; readonly terms: LeaseTerms | undefined },
): WrappedKey {
  const modelKey = unwrapModelKey(platformKey, model.wrapped_key, model);
  try {
    return wrapForDevice(modelKey, target, bound.appraisal, bound.use, bound.terms);
  } finally {
    modelKey.fill(0);
  }
}
