// Lineage of certificates: a device renews forward, and one with a certificate left behind is a copy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { nextInLineage, recordUse } from './lineage.ts';

const nowMs = 1_800_000_000_000;

/** press-1 with certificates by serial number, lineage and renewal. */
async function storeWith(...certificates: readonly (readonly [string, number, number])[]): Promise<TestStore> {
  const store = await openTestStore();
  await addDevices(store.database, deviceRow('press-1'));
  const rows = certificates.map(([serial, lineage, renewal]) => ({
    serial,
    device_id: 'press-1',
    sha256: serial,
    der: new Uint8Array(0),
    not_before: 0,
    not_after: nowMs + 1_000,
    revoked_at: null,
    revocation_reason: null,
    lineage,
    renewal,
  }));
  for (const row of rows) await store.database.write((trx) => trx.insertInto('certificate').values(row).execute());
  return store;
}
const use = ({ database }: TestStore, serial: string, address = '192.0.2.1') =>
  database.write((trx) => recordUse(trx, { deviceId: 'press-1', serial, address, cannotBeCopied: false, nowMs }));
const alerts = async ({ database }: TestStore) =>
  (await database.read.selectFrom('alert').select('kind').execute()).map(({ kind }) => kind);
const next = ({ database }: TestStore, origin: Parameters<typeof nextInLineage>[2]) =>
  database.write((trx) => nextInLineage(trx, 'press-1', origin));

test('a device goes forward: by a renewal, and by a recovery', async () => {
  await using store = await storeWith(['01', 0, 0], ['02', 0, 1], ['03', 1, 0]);
  for (const serial of ['01', '01', '02', '03']) assert.equal(await use(store, serial), true, serial);
  assert.deepEqual(await alerts(store), []);
});

test('a certificate that was left behind by a renewal or a recovery is an alert, and does not become the newest', async () => {
  await using store = await storeWith(['01', 0, 0], ['02', 0, 1], ['03', 1, 0]);
  await use(store, '02');
  assert.equal(await use(store, '01', '198.51.100.1'), false);
  await use(store, '03');
  assert.equal(await use(store, '02', '198.51.100.1'), false);
  assert.deepEqual(await alerts(store), ['certificate-fork']);
  const { bound_serial: newest } = await store.database.read
    .selectFrom('device')
    .select('bound_serial')
    .executeTakeFirstOrThrow();
  assert.equal(newest, '03');
});

test('two certificates of one renewal are two holders', async () => {
  await using store = await storeWith(['01', 0, 1], ['02', 0, 1]);
  await use(store, '01');
  assert.equal(await use(store, '02'), false);
});

test('a newer certificate that was revoked or has ended does not make the one before a fork', async () => {
  for (const change of [{ revoked_at: nowMs }, { not_after: nowMs }]) {
    await using store = await storeWith(['01', 0, 0], ['02', 0, 1]);
    await use(store, '02');
    await store.database.write((trx) =>
      trx.updateTable('certificate').set(change).where('serial', '=', '02').execute(),
    );
    assert.equal(await use(store, '01'), true);
  }
});

test('a renewal follows its certificate, everything else begins anew, and workloads say nothing of the device', async () => {
  await using store = await storeWith(['01', 2, 3]);
  assert.deepEqual(await next(store, { renewedFrom: '01' }), { lineage: 2, renewal: 4 });
  assert.deepEqual(await next(store, {}), { lineage: 3, renewal: 0 });
  assert.deepEqual(await next(store, { workload: 'camera' }), { lineage: 0, renewal: 0 });
  await using empty = await storeWith();
  assert.deepEqual(await next(empty, {}), { lineage: 0, renewal: 0 });
});
