import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestStore } from '../store/testing-store.ts';
import { addDevice, forgetProofs, renewDevice } from './device-row.ts';
import { getDevice } from './states.ts';
import { deviceRow } from './testing-device.ts';

test('of two enrollments that began with the same wiped identity, one gets the next', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const row = { ...deviceRow('press-01'), state: 'wiped' as const };
  await database.writeAsHub((trx) => addDevice(trx, row));
  const before = await getDevice(database.read, 'press-01');
  const next = { ...row, state: 'registered' as const, root_sha256: 'the next root' };
  assert.equal(await database.writeAsHub((trx) => renewDevice(trx, before, next)), true);
  const enrolled = await getDevice(database.read, 'press-01');
  assert.deepEqual([enrolled.generation, enrolled.root_sha256], [before.generation + 1, 'the next root']);
  assert.equal(await database.writeAsHub((trx) => renewDevice(trx, before, { ...next, root_sha256: 'late' })), false);
  await database.writeAsHub((trx) => trx.updateTable('device').set({ state: 'wiped' }).execute());
  assert.equal(await database.writeAsHub((trx) => renewDevice(trx, before, { ...next, root_sha256: 'late' })), false);
  assert.equal((await getDevice(database.read, 'press-01')).root_sha256, 'the next root');
});

test('a wipe takes what a device proved and reported, and what operators want of it stays', async () => {
  await using store = await openTestStore();
  const { database } = store;
  await database.writeAsHub(async (trx) => {
    await addDevice(trx, { ...deviceRow('press-01'), witness_key: 'a key', reset_count: 7, counts: '{}' });
    for (const side of ['reported', 'desired'] as const) {
      const own = { device_id: 'press-01', side };
      await trx
        .insertInto('device_document')
        .values({ ...own, document: '{}', version: 1, updated_at: 1 })
        .execute();
    }
    await forgetProofs(trx, 'press-01');
  });
  const { witness_key: key, reset_count: resets, counts } = await getDevice(database.read, 'press-01');
  assert.deepEqual([key, resets, counts], ['', -1, null]);
  const left = await database.read.selectFrom('device_document').select('side').execute();
  assert.deepEqual(
    left.map(({ side }) => side),
    ['desired'],
  );
});
