// Step 8 of the decision (spec/access.md): the transaction that records a release and its lease, and the entries of refusals.
import { insertLease } from '../revocation/leases.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { type KeyRelease, keyReleasedEntry } from '@edgekeep/core/access/key-release';
import type { Lease } from '@edgekeep/core/access/lease';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import { hybridSuite } from '@edgekeep/core/identity/hybrid-hpke';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import { recordAppraisal } from '../attest/appraiser.ts';
import { appendEncodedEntry, appendEntry, encodeEvent, encodeUnsaltedEvent } from '../audit/append.ts';
import { HubError, type Reason } from '../common/error.ts';
import { publishedNow } from '../model/releases.ts';
import { assertEnabled } from '../registry/enablement.ts';
import { newestPolicyVersion } from '../store/authority.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { LeaseRecord } from '../store/tables/revocation.ts';
import { factsNow } from './decided-by.ts';
import { loggedReasons } from './gate.ts';
import { askPublisher, refusedByPublisher } from './publisher-policy.ts';
import { assertWithinBudget } from './release-budget.ts';
import { weighHolder } from './lease-holder.ts';
import type { RecordedRelease } from './receipts.ts';
import { quorumUnreachable, weighQuorum } from './witness-alarm.ts';
import { assertHybridKeyStands, weighWrapForm } from './wrap-form.ts';

import {
  assertCurrent,
  assertMayAsk,
  type Facts,
  factsAsked,
  type ReleaseAsk,
  type ReleaseDependencies,
} from './release-ask.ts';

/** 8. The transaction: everything that the decision rested on is read again, then the entry and the lease are written. */
export async function record(
  dependencies: ReleaseDependencies,
  ask: ReleaseAsk,
  facts: Facts,
): Promise<Pick<RecordedRelease, 'logIndex' | 'entry'> | 'decided-by-other'> {
  const { database, settings } = dependencies;
  const { lease, attestationResult, policy, device } = facts;
  return database.write(async (trx) => {
    // The decision took a while. The door's authority reads device, certificate and connection again; the reference values are checked with
    // the appraisal. The policy, the facts that it uses, and the release are checked here.
    if ((await newestPolicyVersion(trx)) !== policy.version) return 'decided-by-other';
    const now = await factsNow(trx, policy.policy, factsAsked(dependencies, ask));
    if (now !== facts.decidedBy) return 'decided-by-other';
    if (!(await dependencies.witnessPolicies.isCurrent(trx))) return 'decided-by-other';
    const { model: name, version, manifestDigest } = lease;
    const current = assertCurrent(ask, await publishedNow(trx, ask.model));
    if (current.manifest_digest !== manifestDigest)
      throw new HubError('conflict', `${name} ${version} is another release now: request the key again`);
    const recorded = await recordAppraisal(trx, device.id, facts.appraisal, ask.nowMs);
    assertMayAsk(recorded.state);
    assertEnabled(recorded);
    const wrapped = 'hybridKey' in facts.form ? 'hybrid' : 'classical';
    await dependencies.gate.protectionStands(trx, ask, wrapped);
    // Concurrent requests must not get more keys than sequential ones.
    await assertWithinBudget(trx, ask, settings);
    const releasePolicy = await publisherNow(trx, dependencies, ask, facts);
    await assertHybridKeyStands(trx, device.id, facts.form);
    const wrap = facts.form.type;
    const witnessing = await witnessingOf(dependencies, trx, ask);
    const release = { ...releaseOf(ask, facts, witnessing), ...(releasePolicy !== undefined && { releasePolicy }) };
    const { remoteAddress: address } = ask.connection;
    await weighHolder(
      trx,
      { deviceId: device.id, model: name, address, proofMs: ask.proofMs, nowMs: ask.nowMs },
      settings.alerts,
    );
    await weighWrapForm(trx, ask, facts.form);
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
      wrap: wrap ?? null,
    });
    await facts.kept?.record(trx, { id: lease.id, grantedAtMs: ask.nowMs });
    return { logIndex, entry };
  });
}

/** The witness policy, and whether other devices than the receiver could meet it. Throws `release-refused` where that is asked for. */
async function witnessingOf(
  { witnessPolicies }: ReleaseDependencies,
  trx: WriteTransaction,
  { deviceId, nowMs }: ReleaseAsk,
): Promise<NonNullable<KeyRelease['witnessing']>> {
  const current = witnessPolicies.current();
  const { digest, quorum, whenUnmet } = current;
  const reachable = await witnessPolicies.isReachable(trx, deviceId);
  if (!reachable && whenUnmet === 'refuse') {
    const message = `the witness policy asks for ${quorum} independent witnesses besides the receiver, the fleet has fewer: no key`;
    throw new HubError('release-refused', message, { reasons: [{ code: quorumUnreachable, message }] });
  }
  await weighQuorum(trx, current, { deviceId, reachable, nowMs });
  return { policy: digest, reachable };
}

/** The content of the entry. */
function releaseOf(
  ask: ReleaseAsk,
  { device, form, appraisal, attestationResult, lease, policy, kept }: Facts,
  witnessing: KeyRelease['witnessing'],
): KeyRelease {
  const { model: name, version, manifestDigest } = lease;
  return {
    device: { id: device.id, tier: appraisal.tier, certificate: ask.certificateSha256 },
    model: { name, version, manifestDigest },
    policy: { name: `policy ${policy.version}`, digest: policy.digest },
    lease,
    attestationResult: sha256Hex(attestationResult),
    ...(form.type !== undefined && { wrap: form.type }),
    ...('hybridKey' in form && { suite: hybridSuite }),
    ...(kept === undefined ? {} : { evidence: kept.digests, witnessing }),
  };
}

/** What the entry says of the publisher's release policy; its facts are read again here. Throws `release-refused` where one has changed. */
async function publisherNow(
  trx: WriteTransaction,
  { witnesses }: ReleaseDependencies,
  { nowMs }: ReleaseAsk,
  { publisherPolicy: policy, device, appraisal, attestationResult }: Facts,
): Promise<KeyRelease['releasePolicy']> {
  if (policy === undefined) return undefined;
  const cosigners = witnesses.cosignersBesides(device.id);
  const verdict = await askPublisher(trx, { policy, device, appraisal, attestationResult, cosigners, nowMs });
  if (verdict.kind === 'refused') throw refusedByPublisher(verdict.reasons, attestationResult);
  return verdict.logged;
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

export async function recordRefusal(
  dependencies: ReleaseDependencies,
  ask: ReleaseAsk,
  appraisal: Appraisal,
  refusal: { policyVersion?: number; reasons: readonly Reason[] },
): Promise<void> {
  await dependencies.database.writeAsHub(async (trx) => {
    await recordAppraisal(trx, ask.deviceId, appraisal, ask.nowMs);
    await appendRefusal(trx, ask, refusal.reasons, refusal.policyVersion);
  });
}

export async function appendRefusal(
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
