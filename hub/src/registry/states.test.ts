// Which states may follow which, and what ends with the old one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import type { DeviceState } from '../store/tables/registry.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { assertNotCutOff, disableIn, enableIn } from './enablement.ts';
import { changeState, getDevice } from './states.ts';
import { addDevices, deviceRow } from './testing-device.ts';

const nowMs = 1_800_000_000_000;
const order = { deviceId: 'press-1', reason: 'a test', actor: 'person:ada/desk', nowMs };
const states: readonly DeviceState[] = ['registered', 'active', 'suspect', 'quarantined', 'wiped', 'retired'];

/** A device in this state, with a running lease and certificates of its own and of a workload. */
async function storeWith(state: DeviceState): Promise<TestStore> {
  const store = await openTestStore();
  await addDevices(store.database, deviceRow('press-1', { state }));
  const certificate = { device_id: 'press-1', der: new Uint8Array(0), not_before: 0, not_after: nowMs + 1_000 };
  const valid = { revoked_at: null, revocation_reason: null };
  await store.database.write(async (trx) => {
    await trx
      .insertInto('certificate')
      .values([
        { ...certificate, ...valid, serial: '01', sha256: 'own', workload: null },
        { ...certificate, ...valid, serial: '02', sha256: 'camera', workload: 'camera' },
      ])
      .execute();
    const lease = { device_id: 'press-1', model: 'belt', version: '1.0.0', document: '{}', log_index: 0 };
    const runs = { id: 'lease', not_after: nowMs + 1_000, revoked_at: null, attestation_result: '' };
    await trx
      .insertInto('lease')
      .values({ ...lease, ...runs })
      .execute();
  });
  return store;
}
const change = ({ database }: TestStore, to: DeviceState) =>
  database.write((trx) => changeState(trx, { ...order, to }));
async function standing({ database }: TestStore) {
  const { read } = database;
  const lease = await read.selectFrom('lease').select('revoked_at').executeTakeFirstOrThrow();
  const rows = await read.selectFrom('certificate').select(['sha256', 'revoked_at']).orderBy('sha256').execute();
  const certificates = rows.flatMap((row) => (row.revoked_at === null ? [row.sha256] : []));
  return [...(lease.revoked_at === null ? ['lease'] : []), ...certificates];
}

const mayFollow: Readonly<Record<DeviceState, readonly DeviceState[]>> = {
  registered: ['active', 'suspect', 'quarantined', 'retired'],
  active: ['suspect', 'quarantined', 'retired'],
  suspect: ['active', 'quarantined', 'retired'],
  quarantined: ['active', 'wiped', 'retired'],
  wiped: ['retired'],
  retired: [],
};
for (const from of states) {
  test(`a device that is ${from} becomes ${mayFollow[from].join(', ') || 'nothing else'}, by an order`, async () => {
    for (const to of states) {
      await using store = await storeWith(from);
      if (to === from || mayFollow[from].includes(to)) assert.equal((await change(store, to)).state, to);
      else assert.equal(await refusalOf(change(store, to)), 'conflict', to);
    }
  });
}

test('leaving health ends the leases of a device, being cut off its workloads, and its end all of it', async () => {
  for (const [from, to, left] of [
    ['suspect', 'active', ['lease', 'camera', 'own']],
    ['active', 'suspect', ['own']],
    ['active', 'quarantined', ['own']],
    ['quarantined', 'wiped', ['own']],
    ['active', 'retired', []],
  ] as const) {
    await using store = await storeWith(from);
    await change(store, to);
    assert.deepEqual(await standing(store), left, `${from} to ${to}`);
  }
});

test('a device that is switched off loses leases and workloads, keeps its state, and has neither again when it is on', async () => {
  await using store = await storeWith('active');
  const { database } = store;
  await database.write((trx) => disableIn(trx, order));
  assert.deepEqual(await standing(store), ['own']);
  assert.equal(
    await refusalOf(async () => assertNotCutOff(await getDevice(database.read, 'press-1'))),
    'device-disabled',
  );
  await database.write((trx) => enableIn(trx, order));
  const device = await getDevice(database.read, 'press-1');
  assertNotCutOff(device);
  assert.deepEqual([device.state, await standing(store)], ['active', ['own']]);
  await using retired = await storeWith('retired');
  assert.equal(await refusalOf(retired.database.write((trx) => disableIn(trx, order))), 'conflict');
});

test('a device that is quarantined, wiped or retired does not connect; any other one does', async () => {
  const expected = { quarantined: 'device-quarantined', wiped: 'device-quarantined', retired: 'device-retired' };
  for (const [state, code] of Object.entries(expected))
    assert.equal(await refusalOf(() => assertNotCutOff({ ...asked, state: stateNamed(state) })), code);
  for (const state of ['registered', 'active', 'suspect'] as const) assertNotCutOff({ ...asked, state });
});
const asked = { state_reason: 'a test', disabled_reason: null };
const stateNamed = (name: string): DeviceState => states.find((state) => state === name) ?? assert.fail(name);
