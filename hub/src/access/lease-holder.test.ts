import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { TestStore } from '../store/testing-store.ts';
import { usualProofMs, weighHolder } from './lease-holder.ts';
import { leasesAtMs as nowMs, storeWithLeases as storeWith } from './testing-leases.ts';

test('a device is compared with itself once it was seen often enough, and one slow answer does not move what is usual', () => {
  assert.equal(usualProofMs([100, 100, 100, 100], 250), undefined);
  assert.deepEqual(usualProofMs([100, 110, 90, 5_000, 105], 250), { median: 105, limit: 355 });
});

test('a slow TPM has more slack, in proportion', () => {
  assert.deepEqual(usualProofMs([2_000, 2_000, 2_000, 2_000, 2_000], 250), { median: 2_000, limit: 3_000 });
});

const next = { deviceId: 'press-1', model: 'belt', nowMs };
const rule = { leaseElsewhere: true, proofSlackMilliseconds: 250 };

/** In what the alerts say that the holder differs, which asking from here with this proof raises. */
async function alertsOf(store: TestStore, change: { address?: string; proofMs?: number }, own = rule) {
  const { address = '192.0.2.1', proofMs = 100 } = change;
  await store.database.write((trx) => weighHolder(trx, { ...next, address, proofMs }, own));
  const rows = await store.database.read.selectFrom('alert').select('data').execute();
  return rows.map(({ data }) => z.object({ differs: z.string() }).parse(JSON.parse(data)).differs);
}

test('who asks from elsewhere than the lease that holds was given to is an alert, and from the same place none', async () => {
  await using store = await storeWith({});
  assert.deepEqual(await alertsOf(store, {}), []);
  assert.deepEqual(await alertsOf(store, { address: '198.51.100.1' }), ['address']);
});

test('a lease that is over or was ended has no holder, and the setting switches the alert off', async () => {
  for (const lease of [{ notAfter: nowMs }, { revokedAt: nowMs - 1 }, { deviceId: 'press-2' }, { model: 'oven' }]) {
    await using store = await storeWith(lease);
    assert.deepEqual(await alertsOf(store, { address: '198.51.100.1' }), []);
  }
  await using store = await storeWith({});
  assert.deepEqual(await alertsOf(store, { address: '198.51.100.1' }, { ...rule, leaseElsewhere: false }), []);
});

test('a proof that took longer than is usual for this device is an alert, once there is a usual', async () => {
  await using few = await storeWith({}, {}, {}, {});
  assert.deepEqual(await alertsOf(few, { proofMs: 5_000 }), []);
  await using store = await storeWith({}, {}, {}, {}, {});
  assert.deepEqual(await alertsOf(store, { proofMs: 350 }), []);
  assert.deepEqual(await alertsOf(store, { proofMs: 351 }), ['round-trip']);
});
