import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestStore } from '../store/testing-store.ts';
import { voidLeases } from './leases.ts';
import { deviceOf, seedFleet } from './testing-revocation.ts';

const nowMs = 1_800_000_000_000;

test('the running leases of these devices end, and those that are over or of others stay as they are', async () => {
  await using store = await openTestStore();
  await seedFleet(store.database, { count: 2, notAfterMs: nowMs });
  const lease = { model: 'belt', version: '1.0.0', document: '{}', log_index: 0, attestation_result: '' };
  await store.database.write(async (trx) => {
    for (const [id, device, notAfter] of [
      ['runs', deviceOf(0), nowMs + 1],
      ['over', deviceOf(0), nowMs],
      ['other', deviceOf(1), nowMs + 1],
    ] as const) {
      const row = { ...lease, id, device_id: device, not_after: notAfter, revoked_at: null };
      await trx.insertInto('lease').values(row).execute();
    }
  });
  assert.equal(await store.database.write((trx) => voidLeases(trx, [deviceOf(0)], nowMs)), 1);
  const ended = await store.database.read
    .selectFrom('lease')
    .select('id')
    .where('revoked_at', 'is not', null)
    .execute();
  assert.deepEqual(
    ended.map(({ id }) => id),
    ['runs'],
  );
});
