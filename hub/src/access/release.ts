// The central decision of the product. It joins who the device is, what it booted, which model it asks for, what the policy says and how
// the device stands, releases one key to one device for a time, and records why (spec/access.md).
import { insertLease } from '../revocation/leases.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { randomUUID } from 'node:crypto';
import { type KeyRelease, keyReleasedEntry } from '@edgekeep/core/access/key-release';
import type { Lease } from '@edgekeep/core/access/lease';
import type { LeaseTerms } from '@edgekeep/core/access/lease-terms';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import { type Appraiser, recordAppraisal, untilReferencesStay } from '../attest/appraiser.ts';
import { appendEncodedEntry, appendEntry, encodeEvent, encodeUnsaltedEvent } from '../audit/append.ts';
import { HubError, type HubErrorCode, type Reason } from '../error.ts';
import type { DeviceConnection } from '../presence/connections.ts';
import { getDevice } from '../registry/states.ts';
import type { RootKeys } from '../attest/root-keys.ts';
import { type PublishedNow, publishedIn, publishedNow } from '../model/releases.ts';
import { unwrapModelKey } from '../model/vault.ts';
import { assertEnabled } from '../registry/enablement.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';
import { newestPolicyVersion } from '../store/authority.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { DeviceRecord, DeviceRow, DeviceState, LeaseRecord, ModelReleaseRow } from '../store/schema.ts';
import { factsDecidedBy, factsNow } from './decided-by.ts';
import { type SentLeaseCounter, leaseTermsFor } from './lease-terms.ts';
import { type AccessGate, type Judgement, loggedReasons } from './gate.ts';
import { assertWithinBudget, type LeaseAlarm, LeasesUsedUp, type ReleaseBudgetSettings } from './release-budget.ts';
import { type LeaseHolderAlerts, weighHolder } from './lease-holder.ts';
import type { RecordedRelease } from './receipts.ts';
import { wrapForDevice, type WrapTarget } from '../attest/wrap-target.ts';

export interface ReleaseSettings extends ReleaseBudgetSettings {
  readonly lease: ReleaseBudgetSettings['lease'] & { readonly enforcedBy: 'tpm' | 'agent' };
  readonly alerts: LeaseHolderAlerts;
}

export interface ReleaseParts {
  readonly database: Database;
  readonly appraiser: Appraiser;
  readonly rootKeys: RootKeys;
  readonly gate: AccessGate;
  readonly platformKey: PlatformKey;
  readonly leaseAlarm: LeaseAlarm;
  readonly settings: ReleaseSettings;
}

export interface ReleaseAsk {
  readonly deviceId: string;
  /** SHA-256 of the operational certificate the device connected with, hex. */
  readonly certificateSha256: string;
  readonly model: string;
  readonly version: string;
  readonly evidence: Evidence;
  readonly leaseCounter?: SentLeaseCounter | undefined;
  readonly nonce: Uint8Array;
  /** The connection on which the device asks. */
  readonly connection: DeviceConnection;
  /** How long the proof took beyond the network round trip, milliseconds. */
  readonly proofMs?: number | undefined;
  /** False for an agent of the previous version: its receipt then covers an entry that it can read. */
  readonly readsSaltedEntries: boolean;
  readonly nowMs: number;
}

export interface Released {
  readonly lease: Lease;
  readonly wrappedKey: WrappedKey;
  readonly recorded: RecordedRelease;
}

/** Releases a model key or throws a HubError with the reasons. In both cases the audit log has the result before this returns. */
export async function releaseKey(parts: ReleaseParts, ask: ReleaseAsk): Promise<Released> {
  return untilReferencesStay(() => decideRelease(parts, ask));
}

async function decideRelease(parts: ReleaseParts, ask: ReleaseAsk): Promise<Released> {
  const { database, appraiser } = parts;
  const { nowMs, nonce } = ask;
  const device = await getDevice(database.read, ask.deviceId);
  const model = await mayBeReleased(parts, device, ask);
  const bound = qualifyingData('release', nonce, ask.connection.exporter);
  const expected = { qualifyingData: bound, nonce, nowMs, pieces: ask.connection };
  const { appraisal, attestationResult } = await appraiser.appraise(device, ask.evidence, expected);
  if (appraisal.status === 'contraindicated') {
    await database.writeAsHub((trx) => recordAppraisal(trx, device.id, appraisal, nowMs));
    throw new HubError('attestation-refused', 'the evidence was refused: no key', {
      reasons: appraisal.reasons,
      attestationResult,
    });
  }
  // First of the device as it was read above: where it has changed since, that shows when the key is recorded.
  const judge = async (read?: DeviceRecord): Promise<Pick<Facts, 'policy' | 'decidedBy'>> => {
    const asked = parts.gate.policyNow();
    const now = read ?? (await getDevice(database.read, device.id));
    const seen = await factsDecidedBy(database.read, asked.policy, factsAsked(parts, ask), now);
    const { policy, decision } = await parts.gate.judge({
      action: 'releaseKey',
      deviceId: device.id,
      device: now,
      resource: { kind: 'model', name: model.name, version: model.version, publisher: model.publisher, groups: [] },
      connection: ask.connection,
      appraisal,
      nowMs,
    });
    // Another policy may use facts that were not read.
    if (policy !== asked) return judge();
    if (decision.kind === 'permitted') return { policy, decidedBy: seen };
    const { reasons } = decision;
    await recordRefusal(parts, ask, appraisal, { policyVersion: policy.version, reasons });
    throw new HubError('release-refused', 'the policy releases no key to this device', { reasons, attestationResult });
  };
  const lease = leaseFor(ask, model, parts.settings.leaseSeconds);
  const facts: Facts = { device, appraisal, attestationResult, lease, ...(await judge(device)) };
  const target = parts.rootKeys.wrapTarget(device);
  const endedByTpm = target.kind === 'tpm' && parts.settings.lease.enforcedBy === 'tpm';
  const terms = endedByTpm ? await leaseTerms(parts, ask, facts, expected.qualifyingData) : undefined;
  const wrappedKey = wrap(parts.platformKey, target, model, { appraisal, leaseId: lease.id, terms });
  const recordOnce = (now: Facts) => orRefused(parts, ask, () => record(parts, ask, now));
  let recorded = await recordOnce(facts);
  // A policy that was applied during the decision, or changed facts, may give another answer. The policy is asked again until its facts are
  // unchanged.
  for (let asked = 0; recorded === 'decided-by-other' && asked < ASKED_AGAIN_MAX; asked += 1)
    recorded = await recordOnce({ ...facts, ...(await judge()) });
  if (recorded === 'decided-by-other')
    throw new HubError('conflict', 'what the policy looks at changes faster than it can be asked: try again');
  return { lease, wrappedKey, recorded: { ...recorded, attestationResult, model } };
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

// Requests that are refused before the evidence is read; these refusals are logged like the others.
async function mayBeReleased(parts: ReleaseParts, device: DeviceRecord, ask: ReleaseAsk): Promise<ModelReleaseRow> {
  const { database, settings } = parts;
  return orRefused(parts, ask, async () => {
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
  { database, settings, leaseAlarm }: ReleaseParts,
  ask: ReleaseAsk,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof LeasesUsedUp) await leaseAlarm.raise(ask, ask.connection.remoteAddress, settings);
    if (error instanceof HubError && refusals.has(error.code)) {
      const reasons = error.reasons.length > 0 ? error.reasons : [{ code: error.code, message: error.message }];
      await database.writeAsHub((trx) => appendRefusal(trx, ask, reasons));
    }
    throw error;
  }
}

function assertMayAsk(state: DeviceState): void {
  if (state === 'quarantined' || state === 'wiped') {
    throw new HubError('device-quarantined', `this device is ${state}: an operator has to release it first`);
  }
  if (state === 'retired') throw new HubError('device-retired', 'this device is retired');
}

// Only the newest published version gets keys, so that nobody can request an old release with a known weakness.
function assertCurrent<Release extends PublishedNow>(ask: ReleaseAsk, current: Release): Release {
  if (current.version !== ask.version) {
    const message = `${ask.model} ${ask.version} is not the current release: ${current.version} is`;
    throw new HubError('release-refused', message, { reasons: [{ code: 'release-superseded', message }] });
  }
  return current;
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

// A device whose TPM cannot end the lease gets no key.
async function leaseTerms(
  parts: ReleaseParts,
  ask: ReleaseAsk,
  { device, appraisal, attestationResult, lease, policy }: Facts,
  qualifyingData: Uint8Array,
): Promise<LeaseTerms> {
  const key = parts.rootKeys.attestationKey(device);
  const found = leaseTermsFor({ ...ask, key, qualifyingData, appraisal, lease });
  if (found.kind === 'found') return found.terms;
  const { reasons } = found;
  await recordRefusal(parts, ask, appraisal, { policyVersion: policy.version, reasons });
  throw new HubError('release-refused', 'the TPM of this device cannot end the lease', { reasons, attestationResult });
}

function wrap(
  platformKey: PlatformKey,
  target: WrapTarget,
  model: ModelReleaseRow,
  bound: { readonly appraisal: Appraisal; readonly leaseId: string; readonly terms: LeaseTerms | undefined },
): WrappedKey {
  const { name, version, wrapped_key: wrapped } = model;
  const modelKey = unwrapModelKey(platformKey, wrapped, name, version);
  try {
    return wrapForDevice(modelKey, target, bound.appraisal, bound.leaseId, bound.terms);
  } finally {
    modelKey.fill(0);
  }
}

interface Facts {
  readonly device: DeviceRow;
  readonly appraisal: Appraisal;
  readonly attestationResult: string;
  readonly lease: Lease;
  readonly policy: Judgement['policy'];
  /** The facts of the device and the model before the policy was asked. */
  readonly decidedBy: string;
}

function factsAsked({ gate }: ReleaseParts, { deviceId, model, connection, nowMs }: ReleaseAsk) {
  return { action: 'releaseKey', deviceId, model, country: gate.countryOf(connection.remoteAddress), nowMs } as const;
}

async function record(
  parts: ReleaseParts,
  ask: ReleaseAsk,
  facts: Facts,
): Promise<Pick<RecordedRelease, 'logIndex' | 'entry'> | 'decided-by-other'> {
  const { database, settings } = parts;
  const { lease, attestationResult, policy, device } = facts;
  return database.write(async (trx) => {
    // The decision took a while. The door's authority reads device, certificate and connection again; the reference values are checked with
    // the appraisal. The policy, the facts that it uses, and the release are checked here.
    if ((await newestPolicyVersion(trx)) !== policy.version) return 'decided-by-other';
    const now = await factsNow(trx, policy.policy, factsAsked(parts, ask));
    if (now !== facts.decidedBy) return 'decided-by-other';
    const { model: name, version, manifestDigest } = lease;
    const current = assertCurrent(ask, await publishedNow(trx, ask.model));
    if (current.manifest_digest !== manifestDigest)
      throw new HubError('conflict', `${name} ${version} is another release now: ask again`);
    const recorded = await recordAppraisal(trx, device.id, facts.appraisal, ask.nowMs);
    assertMayAsk(recorded.state);
    assertEnabled(recorded);
    // Concurrent requests must not get more keys than sequential ones.
    await assertWithinBudget(trx, ask, settings);
    const release: KeyRelease = {
      device: { id: device.id, tier: facts.appraisal.tier, certificate: ask.certificateSha256 },
      model: { name, version, manifestDigest },
      policy: { name: `policy ${policy.version}`, digest: policy.digest },
      lease,
      attestationResult: sha256Hex(attestationResult),
    };
    const { remoteAddress: address } = ask.connection;
    await weighHolder(
      trx,
      { deviceId: device.id, model: name, address, proofMs: ask.proofMs, nowMs: ask.nowMs },
      settings.alerts,
    );
    const event = keyReleasedEntry(release, ask.nowMs, 'hub');
    // The lease's id is 122 random bits.
    const entry = ask.readsSaltedEntries ? encodeEvent(event) : encodeUnsaltedEvent(event);
    const logIndex = await appendEncodedEntry(trx, entry);
    await insertLease(trx, {
      id: lease.id,
      device_id: device.id,
      model: lease.model,
      version: lease.version,
      document: Buffer.from(encodeCanonicalJson({ ...lease })).toString('utf8'),
      not_after: lease.notAfter * 1_000,
      revoked_at: null,
      log_index: logIndex,
      attestation_result: attestationResult,
      granted_at: ask.nowMs,
      address: ask.connection.remoteAddress,
      round_trip_ms: ask.proofMs ?? null,
    });
    return { logIndex, entry };
  });
}

/** Throws `release-refused` for a lease that was ended while its response waited. */
export async function assertLeaseRuns({ read }: Pick<Database, 'read'>, { id }: Lease): Promise<void> {
  const [row] = await leaseById(read, { id });
  if (row !== undefined && row.revoked_at === null) return;
  throw new HubError('release-refused', 'this lease was ended while it was recorded: no key');
}

const leaseById = prepared<{ id: string }, Pick<LeaseRecord, 'revoked_at'>>((db, value) =>
  db.selectFrom('lease').select('revoked_at').where('id', '=', value('id')),
);

async function recordRefusal(
  parts: ReleaseParts,
  ask: ReleaseAsk,
  appraisal: Appraisal,
  refusal: { policyVersion: number; reasons: readonly Reason[] },
): Promise<void> {
  await parts.database.writeAsHub(async (trx) => {
    await recordAppraisal(trx, ask.deviceId, appraisal, ask.nowMs);
    await appendRefusal(trx, ask, refusal.reasons, refusal.policyVersion);
  });
}

async function appendRefusal(
  trx: WriteTransaction,
  ask: ReleaseAsk,
  reasons: readonly Reason[],
  policyVersion?: number,
): Promise<void> {
  await appendEntry(trx, {
    at: ask.nowMs,
    kind: 'release-refused',
    actor: 'hub',
    subject: `device:${ask.deviceId}`,
    data: {
      model: `${ask.model}@${ask.version}`,
      policyVersion,
      reasons: loggedReasons(reasons),
    },
  });
}
