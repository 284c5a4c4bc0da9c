// Claims never decide about keys, on a hub with a device: a policy from before, what is reported of it, and every claimed field of the
// registry.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Resource } from '@edgekeep/core/policy/question';
import { registryOrigins } from '@edgekeep/core/policy/origins';
import type { Policy } from '@edgekeep/core/policy/policy';
import { refusalOf } from '../common/testing-refusal.ts';
import { createGroup } from '../registry/groups.ts';
import { getDevice } from '../registry/states.ts';
import type { Database } from '../store/database.ts';
import type { DeviceModelRow } from '../store/tables/model.ts';
import { weighClaims } from './claims-alarm.ts';
import { deviceQuestion } from './context.ts';
import { factsOf } from './facts.ts';
import { PolicyStore } from './policy-store.ts';
import { ask, by, nowMs, openReleaseHub, press } from './testing-release.ts';

const keys = (condition: string, annotation = '') =>
  `@id("keys") ${annotation} permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { context.attestation.instanceIdentity == 2 && ${condition} };`;
const filter = 'reported.updates.rebootRequired==false';
const patched = (database: Database) => createGroup(database, { name: 'patched', description: '', filter, ...by });

async function alertsOf(database: Database) {
  return database.read
    .selectFrom('alert')
    .select(['state', 'title'])
    .where('kind', '=', 'policy-rests-on-claims')
    .execute();
}

const noModel: Omit<DeviceModelRow, 'state' | 'fault_code'> = {
  device_id: press.id,
  model: 'belt',
  version: '1.0.0',
  manifest_digest: null,
  fault_version: null,
  fault_digest: null,
  fault_place: null,
  fault_message: null,
  fault_attempts: null,
  fault_kind: null,
  fault_since: null,
  retry: 0,
  retried: 0,
  changed_at: nowMs,
};

/** As a hub of the version before wrote it. */
async function storeOldPolicy(database: Database, text: string): Promise<PolicyStore> {
  const row = {
    version: 2,
    digest: 'x',
    text,
    applied_at: nowMs,
    meaning: 'any-action',
    tests: null,
    applied_by: 'x',
  } as const;
  await database.write((trx) => trx.insertInto('policy').values(row).execute());
  return PolicyStore.open(database, nowMs);
}

async function claim(database: Database, value: number): Promise<void> {
  const row = {
    device_id: press.id,
    side: 'reported',
    path: 'updates.rebootRequired',
    text_value: value === 1 ? 'true' : 'false',
    number_value: null,
  } as const;
  await database.write((trx) =>
    trx
      .insertInto('device_attribute')
      .values(row)
      .onConflict((conflict) => conflict.doUpdateSet({ text_value: row.text_value }))
      .execute(),
  );
}

/** The decision about a key and about a connection, by what the store says now. */
async function decisions(database: Database, policy: Policy): Promise<readonly string[]> {
  const device = await getDevice(database.read, press.id);
  const facts = await factsOf(database.read, [device], { wanted: 'all', filterGroups: policy.groups, nowMs });
  const own = facts.get(press.id);
  assert.ok(own !== undefined);
  const moment = {
    address: '192.0.2.1',
    country: undefined,
    presence: { elsewhere: false, connections: 1 },
    traffic: { lastMinute: 1, percentOfUsual: 100 },
    appraisal: undefined,
    nowMs,
  };
  const model: Resource = { kind: 'model', name: 'belt', version: '1.0.0', publisher: '', groups: ['line'] };
  return [
    policy.decide(deviceQuestion('releaseKey', own, model, moment)).kind,
    policy.decide(deviceQuestion('connect', own, { kind: 'hub' }, moment)).kind,
  ];
}

test('a policy from before claim groups still starts its hub, gives nothing by them, and is an alert until another is applied', async () => {
  await using hub = await openReleaseHub();
  const { database } = hub;
  await patched(database);
  const policies = await storeOldPolicy(database, keys('principal in Edgekeep::Group::"patched"'));
  await weighClaims(database, policies.current(), nowMs);
  const [alert] = await alertsOf(database);
  assert.equal(alert?.state, 'open');
  assert.match(alert.title, /keys \(patched\)/);
  await policies.apply({ text: keys('principal in Edgekeep::ClaimGroup::"patched"', '@claims("patched")'), ...by });
  await weighClaims(database, policies.current(), nowMs);
  assert.deepEqual(
    (await alertsOf(database)).map(({ state }) => state),
    ['closed'],
  );
});

test('a draft by a claim group is refused by its present name and by the name of another kind of group; the one in force stays', async () => {
  await using hub = await openReleaseHub();
  await patched(hub.database);
  for (const type of ['Group', 'ClaimGroup']) {
    const text = keys(`principal in Edgekeep::${type}::"patched"`);
    assert.equal(await refusalOf(hub.policies.apply({ text, ...by })), 'policy-refused: policy-rests-on-claims', type);
  }
  assert.equal(hub.policies.current().version, 1);
  await ask(hub);
});

test('a group that becomes a claim group while a draft is looked at refuses it', async () => {
  await using hub = await openReleaseHub();
  const text = keys('principal in Edgekeep::Group::"patched"');
  const objections = async () => {
    await patched(hub.database);
    return [];
  };
  assert.equal(await refusalOf(hub.policies.apply({ text, objections, ...by })), 'conflict');
});

// SECURITY.md: HUB-64
test('no claim that the registry has of a device changes a decision about its keys and connections', async () => {
  await using hub = await openReleaseHub();
  const { database } = hub;
  const groups: Readonly<Record<string, string>> = {
    seen: 'seenAt>-1h',
    holding: 'holds==belt',
    faulty: 'fault==model-unsupported',
    patched: 'reported.updates.rebootRequired==true',
  };
  for (const [name, each] of Object.entries(groups))
    await createGroup(database, { name, description: '', filter: each, ...by });
  const device = (values: object) =>
    database.write((trx) => trx.updateTable('device').set(values).where('id', '=', press.id).execute());
  const guard = JSON.stringify({
    walls: ['landlock'],
    missing: [],
    inferenceTimeouts: 0,
    protocolViolations: 0,
    crashes: 0,
  });
  const changes: Readonly<Record<string, () => Promise<unknown>>> = {
    seenAt: () => device({ seen_at: nowMs }),
    'reported.PATH': () => claim(database, 1),
    holds: () => hold('serving', null),
    fault: () => hold('locked', 'model-unsupported'),
    guard: () => device({ guard }),
  };
  const hold = (state: 'serving' | 'locked', fault: string | null) =>
    database.write((trx) =>
      trx
        .insertInto('device_model')
        .values({ ...noModel, state, fault_code: fault })
        .onConflict((conflict) => conflict.doUpdateSet({ fault_code: fault }))
        .execute(),
    );
  const claimed = Object.entries(registryOrigins).filter(([, origin]) => origin === 'claimed');
  for (const [field] of claimed) assert.ok(field in changes, field);
  const any = Object.keys(groups)
    .map((name) => `principal in Edgekeep::Group::"${name}"`)
    .join(' || ');
  const wall = 'context has guard && context.guard.walls.contains("landlock")';
  const text = `${keys(`(${any} || ${wall})`)} permit (principal, action == Edgekeep::Action::"connect", resource) when { ${any} || (${wall}) };`;
  const policies = await storeOldPolicy(database, text);
  const { policy } = policies.current();
  const before = await decisions(database, policy);
  assert.deepEqual(before, ['refused', 'refused']);
  for (const [field, change] of Object.entries(changes)) {
    await change();
    assert.deepEqual(await decisions(database, policy), before, field);
  }
});

test('a statement that names a claim group decides by it: a device is in a group of one kind', async () => {
  await using hub = await openReleaseHub();
  const { database, policies } = hub;
  await patched(database);
  await policies.apply({ text: keys('principal in Edgekeep::ClaimGroup::"patched"', '@claims("patched")'), ...by });
  const { policy } = policies.current();
  const device = {
    appraisal: JSON.stringify({ status: 'affirming', reasons: [], vector: { 'instance-identity': 2 } }),
  };
  await database.write((trx) =>
    trx
      .updateTable('device')
      .set({ ...device, appraised_at: nowMs })
      .where('id', '=', press.id)
      .execute(),
  );
  assert.deepEqual(await decisions(database, policy), ['refused', 'permitted']);
  await claim(database, 0);
  assert.deepEqual(await decisions(database, policy), ['permitted', 'permitted']);
});
