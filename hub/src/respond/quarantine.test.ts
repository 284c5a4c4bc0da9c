import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deviceOf, seedFleet } from '../revocation/testing-revocation.ts';
import { RevocationWatch } from '../revocation/watch.ts';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { quarantineDevice, retireDevice } from './quarantine.ts';

const nowMs = 1_800_000_000_000;

test('a device that comes back after it was cut off is not cut by the same order again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-quarantine-'));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(folder, { recursive: true }));
  const database = opened.use(await Database.open(await storePlace(folder)));
  await seedFleet(database, { count: 2, notAfterMs: nowMs + 86_400_000 });
  const cut: string[] = [];
  const connections = { cut: (deviceId: string) => cut.push(deviceId) };
  const watch = await RevocationWatch.start(database, ({ deviceId }) => void connections.cut(deviceId), 3_600_000);
  const fleet = { database, connections, witnesses: { remove: () => undefined }, watch };
  const order = { reason: 'a test', actor: 'ada', nowMs };

  await quarantineDevice(fleet, { ...order, deviceId: deviceOf(0) });
  await retireDevice(fleet, { ...order, deviceId: deviceOf(1) });
  // By the order itself and by the watch, before the caller has the response.
  assert.deepEqual(cut, [deviceOf(0), deviceOf(0), deviceOf(1), deviceOf(1)]);
  await watch.poll();
  assert.equal(cut.length, 4);
});
