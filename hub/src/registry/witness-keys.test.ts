import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { addDevices, deviceRow } from './testing-device.ts';
import { takeWitnessKey } from './witness-keys.ts';

const take = ({ database }: TestStore, text: string, deviceId: string) =>
  database.write((trx) => takeWitnessKey(trx, text, deviceId));

test('a witness key vouches for one device, once, under every name', async () => {
  await using store = await openTestStore();
  await addDevices(store.database, deviceRow('press-1'), deviceRow('press-2'));
  const key = 'BFtest+key/with+plus==';
  await take(store, `hub.example/device/press-1+0a0b0c0d+${key}`, 'press-1');
  for (const [name, deviceId] of [
    ['hub.example/device/press-1+0a0b0c0d', 'press-1'],
    ['hub.example/device/press-1+0a0b0c0d', 'press-2'],
    ['hub.example/device/press-2+ffffffff', 'press-2'],
  ] as const)
    assert.equal(await refusalOf(take(store, `${name}+${key}`, deviceId)), 'enrollment-refused: witness-key-taken');
  await take(store, `hub.example/device/press-2+ffffffff+another+${key}`, 'press-2');
});
