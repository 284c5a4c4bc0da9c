// The one decision that releases a key (spec/access.md): what refuses it, also when that came between the decision and its record.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { encodeReferenceValues, parseReferenceValues } from '@edgekeep/core/attest/reference-values';
import { testEvent, uefiBoot } from '@edgekeep/core/attest/testing';
import { everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { withdrawRelease } from '../model/releases.ts';
import { changeState } from '../registry/states.ts';
import { disableIn } from '../registry/enablement.ts';
import { testReferences } from '../attest/testing-device.ts';
import { signDocument } from '../publisher/testing-publisher.ts';
import { auditEntries } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { AccessGate } from './gate.ts';
import { PolicyStore } from './policy-store.ts';
import { PostQuantumRule } from './post-quantum.ts';
import { hybridWrapType } from '@edgekeep/core/access/wrap-context';
import { xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import { forgetHybridKey, setHybridKey } from '../registry/hybrid-keys.ts';
import type { WriteTransaction } from '../store/database.ts';
import { assertLeaseRuns } from './release-record.ts';
import {
  ask,
  by,
  connectionOf,
  nowMs,
  openReleaseHub,
  press,
  type ReleaseHub,
  second,
  signedLeaseCounter,
} from './testing-release.ts';

const nobodyPolicy = `${everyAttestedTpmPolicyText}
@id("nobody")
forbid (principal, action == Edgekeep::Action::"releaseKey", resource);
`;
const leases = async ({ database }: ReleaseHub) =>
  (await database.read.selectFrom('lease').select(['id', 'device_id', 'revoked_at']).execute()).length;
const otherBoot = (version: string) =>
  parseReferenceValues(testReferences(version, [...uefiBoot, testEvent(9, 0xd, 'another kernel')]));
const kinds = async ({ database }: ReleaseHub) => (await auditEntries(database)).map(({ kind }) => kind);

/** Asks while `change` happens after the decision and before its record. */
function askWhile(
  hub: ReleaseHub,
  change: () => Promise<unknown>,
  asked: Parameters<typeof ask>[1] = {},
): Promise<string> {
  let changed: Promise<unknown> | undefined;
  hub.parts.platformKey.onUse = () => {
    changed ??= change();
  };
  return Promise.all([refusalOf(ask(hub, asked)), Promise.resolve().then(() => changed)]).then(([refusal]) => refusal);
}
const quarantine = ({ database }: ReleaseHub) =>
  database.write((trx) => changeState(trx, { deviceId: press.id, to: 'quarantined', reason: 'odd', ...by }));

test('a device that proves itself, its boot and its right gets a key for as long as a lease is, and the log has it', async () => {
  await using hub = await openReleaseHub();
  const { lease, recorded } = await ask(hub);
  assert.deepEqual([lease.deviceId, lease.model, lease.version], ['press-1', 'belt', '1.0.0']);
  assert.deepEqual(
    [lease.notBefore, lease.notAfter - lease.notBefore, lease.renewAfter - lease.notBefore],
    [nowMs / 1_000, 3_600, 2_400],
  );
  const entries = await auditEntries(hub.database);
  const [entry] = entries.filter(({ kind }) => kind === 'key-released');
  assert.deepEqual([entry?.subject, entries.length - 1], ['device:press-1', recorded.logIndex]);
  await assertLeaseRuns(hub.database, lease);
});

test('a boot that is not the published one gets no key, and makes its device suspect', async () => {
  await using hub = await openReleaseHub();
  const changed = ask(hub, { boot: { events: uefiBoot.slice(0, -1) } });
  assert.equal(await refusalOf(changed), 'attestation-refused: event-missing');
  assert.deepEqual((await kinds(hub)).slice(-3), ['attestation-refused', 'alert-raised', 'device-suspect']);
  assert.equal(await leases(hub), 0);
});

test('evidence for another ask or another connection gets no key, and says nothing about the device', async () => {
  await using hub = await openReleaseHub();
  const own = qualifyingData('release', new Uint8Array(32).fill(1), connectionOf(press.id).exporter);
  const connection = { ...connectionOf(press.id), exporter: new Uint8Array(32).fill(4) };
  for (const change of [{ nonce: new Uint8Array(32).fill(2) }, { connection }])
    assert.equal(
      await refusalOf(ask(hub, { ...change, boot: { qualifyingData: own } })),
      'attestation-refused: qualifying-data-mismatch',
    );
  const { state } = await hub.database.read.selectFrom('device').select('state').executeTakeFirstOrThrow();
  assert.equal(state, 'active');
});

test('a policy that does not permit it releases no key, and the log says why', async () => {
  await using hub = await openReleaseHub();
  await hub.policies.apply({ text: nobodyPolicy, ...by });
  assert.match(await refusalOf(ask(hub)), /^release-refused: /);
  const entry = (await auditEntries(hub.database)).findLast(({ kind }) => kind === 'release-refused');
  assert.deepEqual([entry?.subject, entry?.data['policyVersion']], ['device:press-1', 2]);
  assert.equal(await leases(hub), 0);
});

test('a device outside of the groups that a model is for gets no key', async () => {
  await using hub = await openReleaseHub();
  await hub.database.write((trx) => trx.deleteFrom('device_group_member').where('device_id', '=', press.id).execute());
  assert.match(await refusalOf(ask(hub)), /^release-refused: /);
  await ask(hub, { device: second });
});

// SECURITY.md: NET-12
test('a device of a group that requires it gets no key on a classical key exchange, also when it joins while the key is decided', async () => {
  await using hub = await openReleaseHub();
  const withRule = (postQuantum: PostQuantumRule) => ({
    ...hub,
    parts: { ...hub.parts, gate: new AccessGate({ ...hub, postQuantum }) },
  });
  const { group_name: group } = await hub.database.read
    .selectFrom('device_group_member')
    .select('group_name')
    .where('device_id', '=', press.id)
    .executeTakeFirstOrThrow();
  const rule = new PostQuantumRule([group]);
  assert.match(await refusalOf(ask(withRule(rule))), /^post-quantum-required/);
  // The first question finds no group, as before the device joined.
  const joins = new PostQuantumRule([group]);
  joins.admit = async () => {};
  assert.match(await refusalOf(ask(withRule(joins))), /^post-quantum-required/);
  assert.equal(await leases(hub), 0);
  // On a hybrid connection a classical wrap is not enough, and a hybrid one is.
  const connection = { ...connectionOf(press.id), keyExchange: 'hybrid' } as const;
  assert.match(await refusalOf(ask(withRule(rule), { connection })), /^post-quantum-required/);
  assert.match(await refusalOf(ask(withRule(joins), { connection })), /^post-quantum-required/);
  assert.equal(await leases(hub), 0);
  const publicKey = xwingPublicKey(new Uint8Array(32));
  await hub.database.write((trx) => setHybridKey(trx, { deviceId: press.id, publicKey, nowMs }));
  await ask(withRule(rule), { connection, wraps: [hybridWrapType] });
  assert.equal(await leases(hub), 1);
  // A classical connection is refused with it as well.
  assert.match(await refusalOf(ask(withRule(rule), { wraps: [hybridWrapType] })), /^post-quantum-required/);
});

// SECURITY.md: NET-14
test('a hybrid key that is forgotten or replaced between decision and record gives no key, in no form', async () => {
  const publicKey = xwingPublicKey(new Uint8Array(32));
  const changes: readonly ((trx: WriteTransaction) => Promise<unknown>)[] = [
    (trx) => forgetHybridKey(trx, press.id),
    (trx) => setHybridKey(trx, { deviceId: press.id, publicKey: xwingPublicKey(new Uint8Array(32).fill(1)), nowMs }),
  ];
  for (const change of changes) {
    await using hub = await openReleaseHub();
    await hub.database.write((trx) => setHybridKey(trx, { deviceId: press.id, publicKey, nowMs }));
    const asked = { wraps: [hybridWrapType] } as const;
    assert.equal(await askWhile(hub, () => hub.database.write(change), asked), 'conflict');
    assert.equal(await leases(hub), 0);
  }
});

test('only the newest published version gives keys: none that was superseded, withdrawn or never published', async () => {
  await using hub = await openReleaseHub();
  await hub.publish('1.1.0', nowMs + 1);
  assert.equal(await refusalOf(ask(hub)), 'release-refused: release-superseded');
  await ask(hub, { version: '1.1.0' });
  await withdrawRelease(hub.database, { name: 'belt', version: '1.1.0', ...by });
  assert.equal(await refusalOf(ask(hub, { version: '1.1.0' })), 'release-refused: release-superseded');
  assert.equal(await refusalOf(ask(hub, { model: 'oven' })), 'not-found');
});

test('a device that is quarantined, wiped, retired or switched off gets no key, however good its evidence is', async () => {
  await using hub = await openReleaseHub();
  const set = (change: { state?: 'quarantined' | 'wiped' | 'retired' | 'active'; disabled_reason?: string }) =>
    hub.database.write((trx) => trx.updateTable('device').set(change).where('id', '=', press.id).execute());
  for (const [state, code] of [
    ['quarantined', 'device-quarantined'],
    ['wiped', 'device-quarantined'],
    ['retired', 'device-retired'],
  ] as const) {
    await set({ state });
    assert.equal(await refusalOf(ask(hub)), code);
  }
  await set({ state: 'active', disabled_reason: 'sold' });
  assert.equal(await refusalOf(ask(hub)), 'device-disabled');
  assert.deepEqual(
    (await kinds(hub)).slice(-4),
    Array.from({ length: 4 }, () => 'release-refused'),
  );
});

test('a device that is quarantined or switched off between decision and record gets no key', async () => {
  await using hub = await openReleaseHub();
  assert.equal(await askWhile(hub, () => quarantine(hub)), 'device-quarantined');
  await using other = await openReleaseHub();
  const switchOff = () => other.database.write((trx) => disableIn(trx, { deviceId: press.id, reason: 'sold', ...by }));
  assert.equal(await askWhile(other, switchOff), 'device-disabled');
  assert.deepEqual([await leases(hub), await leases(other)], [0, 0]);
});

test('a policy that was applied between decision and record is asked before anything is recorded', async () => {
  await using hub = await openReleaseHub();
  const refused = await askWhile(hub, async () => {
    await PolicyStore.replace(hub.database, { text: nobodyPolicy, ...by });
    await hub.policies.reload();
  });
  assert.match(refused, /^release-refused: /);
  assert.equal(await leases(hub), 0);
});

test('facts that the policy looks at and that changed between decision and record are asked about anew', async () => {
  await using hub = await openReleaseHub();
  const leave = () =>
    hub.database.write((trx) => trx.deleteFrom('device_group_member').where('device_id', '=', press.id).execute());
  assert.match(await askWhile(hub, leave), /^release-refused: /);
  assert.equal(await leases(hub), 0);
});

test('facts that the policy does not look at may change', async () => {
  await using hub = await openReleaseHub();
  await hub.policies.apply({ text: everyAttestedTpmPolicyText, ...by });
  hub.parts.platformKey.onUse = () => void hub.database.write((trx) => trx.deleteFrom('device_group_member').execute());
  await ask(hub);
});

test('a release that is withdrawn or superseded between decision and record gives no key', async () => {
  await using hub = await openReleaseHub();
  const withdraw = () => withdrawRelease(hub.database, { name: 'belt', version: '1.0.0', ...by });
  assert.equal(await askWhile(hub, withdraw), 'not-found');
  await using other = await openReleaseHub();
  await other.publish('0.9.0', nowMs - 1);
  const supersede = () =>
    other.database.write((trx) =>
      trx
        .updateTable('model_release')
        .set({ published_at: nowMs + 1 })
        .where('version', '=', '0.9.0')
        .execute(),
    );
  assert.equal(await askWhile(other, supersede), 'release-refused: release-superseded');
});

test('reference values that are published between decision and record have the boot appraised anew', async () => {
  await using hub = await openReleaseHub();
  const { references } = hub;
  const document = testReferences('2.0.0');
  const signature = await signDocument(document);
  hub.parts.platformKey.onUse = () => {
    hub.parts.platformKey.onUse = () => {};
    void references.publish({ document, signature, ...by });
  };
  await ask(hub);
  assert.equal((await kinds(hub)).filter((kind) => kind === 'key-released').length, 1);
});

// SECURITY.md: DEV-66
test('a release that is superseded between decision and record gives no key, by time or by another publication', async () => {
  const changes: readonly ((hub: ReleaseHub) => Promise<unknown>)[] = [
    async (hub) => (hub.time.nowMs += 14 * 86_400_000),
    ({ database }) =>
      database.write(async (trx) => {
        const document = encodeReferenceValues({ ...otherBoot('3.0.0'), lowestVersion: '3.0.0' });
        const row = await trx.selectFrom('reference_values').selectAll().limit(1).executeTakeFirstOrThrow();
        await trx
          .insertInto('reference_values')
          .values({ ...row, version: '3.0.0', document })
          .execute();
      }),
  ];
  for (const change of changes) {
    await using hub = await openReleaseHub();
    const document = encodeReferenceValues(otherBoot('2.0.0'));
    await hub.references.publish({ document, signature: await signDocument(document), ...by });
    await ask(hub);
    assert.match(await askWhile(hub, () => change(hub)), /^attestation-refused: boot-(superseded|below-lowest)/);
    assert.equal(await leases(hub), 1);
  }
});

test('a device that leaves the group of its reference values between decision and record gets no key', async () => {
  await using hub = await openReleaseHub();
  await hub.policies.apply({ text: everyAttestedTpmPolicyText, ...by });
  await hub.references.withdraw({ name: 'line', version: '1.0.0', ...by });
  const values = { ...parseReferenceValues(testReferences('1.1.0')), target: { groups: ['line'] } };
  const document = encodeReferenceValues(values);
  await hub.references.publish({ document, signature: await signDocument(document), ...by });
  await ask(hub);
  const leave = () => hub.database.write((trx) => trx.deleteFrom('device_group_member').execute());
  assert.equal(await askWhile(hub, leave), 'release-refused: policy-permits-not');
  assert.equal(await leases(hub), 1);
});

test('a device gets the keys of its budget in a window and no more, in concurrent asks as well; another one is not refused', async () => {
  await using hub = await openReleaseHub({ lease: { enforcedBy: 'agent', maxPerWindow: 1, windowSeconds: 3_600 } });
  // One, and twice what renewals take.
  const allowed = 4;
  const asks = await Promise.allSettled(Array.from({ length: allowed + 3 }, () => ask(hub)));
  assert.equal(asks.filter(({ status }) => status === 'fulfilled').length, allowed);
  assert.equal(await refusalOf(ask(hub)), 'rate-limited: leases-used-up');
  await ask(hub, { device: second });
  const alerts = await hub.database.read.selectFrom('alert').select(['kind', 'count']).execute();
  assert.deepEqual(
    alerts.map(({ kind, count }) => `${kind} ${count}`),
    ['leases-used-up 1'],
  );
  await ask(hub, { nowMs: nowMs + 3_600_000 });
});

test('where the TPM ends leases, a device that shows no lease counter of this boot gets no key', async () => {
  await using hub = await openReleaseHub({});
  assert.equal(await refusalOf(ask(hub)), 'release-refused: lease-counter-missing');
  const ofOtherBoot = ask(hub, { leaseCounter: signedLeaseCounter(12n, 6) });
  assert.equal(await refusalOf(ofOtherBoot), 'release-refused: lease-counter-refused');
  const { wrappedKey } = await ask(hub, { leaseCounter: signedLeaseCounter(12n) });
  assert.ok(wrappedKey.kind === 'tpm-import');
  assert.deepEqual(wrappedKey.terms, {
    resetCount: 7,
    restartCount: 0,
    clockMost: String(86_400_000 + 3_600_000),
    counterMost: '12',
  });
});

test('a lease that was ended while its answer waited gives no key', async () => {
  await using hub = await openReleaseHub();
  const { lease } = await ask(hub);
  await assertLeaseRuns(hub.database, lease);
  await quarantine(hub);
  assert.equal(await refusalOf(assertLeaseRuns(hub.database, lease)), 'release-refused');
  assert.equal(await refusalOf(assertLeaseRuns(hub.database, { ...lease, id: 'none' })), 'release-refused');
});
