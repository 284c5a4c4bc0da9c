import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestStore } from '../store/testing-store.ts';
import { renewDevice } from './device-row.ts';
import { getDevice } from './states.ts';
import { addDevices, deviceRow } from './testing-device.ts';

test('a wiped device gets its next identity once, and by what was read of the identity before', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const row = deviceRow('press-1', { state: 'registered' });
  await addDevices(database, deviceRow('press-1', { state: 'wiped' }));
  const before = await getDevice(database.read, 'press-1');
  const renew = () => database.write((trx) => renewDevice(trx, before, row));
  assert.equal(await renew(), true);
  assert.equal((await getDevice(database.read, 'press-1')).generation, before.generation + 1);
  assert.equal(await renew(), false);
  // Wiped again since: what began before that is over.
  await database.write((trx) => trx.updateTable('device').set({ state: 'wiped' }).execute());
  assert.equal(await renew(), false);
});
