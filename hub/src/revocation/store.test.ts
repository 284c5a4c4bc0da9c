// What one transaction marks as revoked, and what counts as valid afterwards.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { announceDisconnects, assertCertificateStands, revokeOfDevices, revokeSerials } from './store.ts';
import { deviceOf, digestOf, seedFleet, serialOf } from './testing-revocation.ts';

const nowMs = 1_800_000_000_000;
const mark = { reason: 'keyCompromise', nowMs } as const;

async function fleetOf(count: number, notAfterMs = nowMs + 1): Promise<TestStore> {
  const store = await openTestStore();
  await seedFleet(store.database, { count, notAfterMs });
  return store;
}
const stands = ({ database }: TestStore, at: number) => assertCertificateStands(database.read, digestOf(at));

test('a certificate of this hub is accepted until it is revoked; one that the hub does not have never is', async () => {
  await using store = await fleetOf(2);
  await stands(store, 0);
  await store.database.write((trx) => revokeSerials(trx, [serialOf(0)], mark));
  assert.equal(await refusalOf(stands(store, 0)), 'certificate-revoked');
  await stands(store, 1);
  assert.equal(await refusalOf(stands(store, 9)), 'certificate-revoked');
});

test('what a device holds is revoked where it has not ended; a named certificate also after its end, and once', async () => {
  await using store = await fleetOf(2);
  await using over = await fleetOf(1, nowMs);
  const revoked = await store.database.write((trx) => revokeOfDevices(trx, [deviceOf(0)], mark));
  assert.deepEqual(
    revoked.map(({ serial }) => serial),
    [serialOf(0)],
  );
  const again = await store.database.write((trx) => revokeSerials(trx, [serialOf(0)], mark));
  const ended = await over.database.write((trx) => revokeOfDevices(trx, [deviceOf(0)], mark));
  const named = await over.database.write((trx) => revokeSerials(trx, [serialOf(0)], mark));
  assert.deepEqual([again.length, ended.length, named.length], [0, 0, 1]);
});

test('each announcement has the next version, and names what is to be cut', async () => {
  await using store = await fleetOf(2);
  const announce = (serial?: string) =>
    store.database.write((trx) => announceDisconnects(trx, [{ deviceId: deviceOf(0), serial }]));
  const versions = [await announce(serialOf(0)), await announce()];
  assert.equal(versions[1], (versions[0] ?? 0) + 1);
  const rows = await store.database.read.selectFrom('revocation').select(['version', 'serial']).execute();
  assert.deepEqual(
    rows.map(({ version, serial }) => [version, serial]),
    [
      [versions[0], serialOf(0)],
      [versions[1], ''],
    ],
  );
});
