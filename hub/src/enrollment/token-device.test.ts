// Devices that authenticate by HMAC tokens: each token once, in its window, under a valid secret, of a device that may report.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { encodeDeviceToken } from '@edgekeep/core/identity/device-token';
import { hubSettingsSchema } from '../settings.ts';
import { PlatformKey } from '../secrets/platform-key.ts';
import type { DeviceState } from '../store/tables/registry.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { addTokenDevice, rollSecret, useDeviceToken } from './token-device.ts';

const nowMs = 1_800_000_000_000;
const nowSeconds = nowMs / 1_000;
const windowSeconds = 120;
const by = { actor: 'person:ada/desk', nowMs };
const { identity } = hubSettingsSchema.parse({});

async function hubWithSensor() {
  const store = await openTestStore();
  const platformKey = new PlatformKey(new Map([[1, randomBytes(32)]]));
  const secret = await addTokenDevice(store.database, platformKey, { deviceId: 'sensor-1', ...by });
  return { ...store, platformKey, secret };
}
type Hub = Awaited<ReturnType<typeof hubWithSensor>>;

function show({ database, platformKey }: Hub, token: string, atMs = nowMs, address = '192.0.2.1') {
  return useDeviceToken(database, platformKey, { token, windowSeconds, address, sessionRule: identity, nowMs: atMs });
}
const tokenOf = ({ secret }: Hub, atSeconds = nowSeconds) => encodeDeviceToken('sensor-1', atSeconds, secret);
const change = ({ database }: TestStore, set: { state?: DeviceState; disabled_reason?: string | null }) =>
  database.write((trx) => trx.updateTable('device').set(set).where('id', '=', 'sensor-1').execute());

test('a token lets its device in once', async () => {
  await using hub = await hubWithSensor();
  const token = tokenOf(hub);
  assert.equal((await show(hub, token)).id, 'sensor-1');
  assert.equal(await refusalOf(show(hub, token)), 'token-refused');
  const outcomes = await Promise.allSettled([1, 2].map(() => show(hub, tokenOf(hub, nowSeconds + 1))));
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
});

test('a token under another secret, of another device, changed or cut short is refused', async () => {
  await using hub = await hubWithSensor();
  await addTokenDevice(hub.database, hub.platformKey, { deviceId: 'sensor-2', ...by });
  const token = tokenOf(hub);
  const other = encodeDeviceToken('sensor-1', nowSeconds, 'another secret');
  const renamed = token.replace('sensor-1', 'sensor-2');
  const unknown = token.replace('sensor-1', 'sensor-9');
  for (const wrong of [other, renamed, unknown, token.slice(0, -1), `${token}0`, '', 'sensor-1'])
    assert.equal(await refusalOf(show(hub, wrong)), 'token-refused', wrong);
});

test('a token counts within its window: neither older nor further ahead', async () => {
  await using hub = await hubWithSensor();
  for (const offset of [-windowSeconds, windowSeconds]) await show(hub, tokenOf(hub, nowSeconds + offset));
  for (const offset of [-windowSeconds - 1, windowSeconds + 1])
    assert.equal(await refusalOf(show(hub, tokenOf(hub, nowSeconds + offset))), 'token-refused', String(offset));
});

test('a used token is not good again when the clock of the hub is set back, also after the used ones are cleared', async () => {
  await using hub = await hubWithSensor();
  const first = tokenOf(hub);
  await show(hub, first);
  for (let later = 1; later <= 6; later += 1) {
    const atMs = nowMs + later * windowSeconds * 1_000;
    await show(hub, tokenOf(hub, atMs / 1_000), atMs);
  }
  const kept = await hub.database.read.selectFrom('used_token').select('sha256').execute();
  assert.ok(kept.length < 7, `${kept.length} kept`);
  assert.equal(await refusalOf(show(hub, first)), 'token-refused');
  assert.equal(await refusalOf(show(hub, tokenOf(hub, nowSeconds + 7))), 'token-refused');
});

test('after a roll the older secret counts for its overlap, one older than that not at all', async () => {
  await using hub = await hubWithSensor();
  const roll = (atMs: number) =>
    rollSecret(hub.database, hub.platformKey, {
      deviceId: 'sensor-1',
      actor: by.actor,
      nowMs: atMs,
      overlapSeconds: 60,
    });
  const { secret, olderValidUntil } = await roll(nowMs);
  assert.equal(olderValidUntil, nowMs + 60_000);
  await show(hub, tokenOf(hub, nowSeconds + 59), nowMs + 59_000);
  await show(hub, encodeDeviceToken('sensor-1', nowSeconds + 60, secret), nowMs + 60_000);
  assert.equal(await refusalOf(show(hub, tokenOf(hub, nowSeconds + 61), nowMs + 60_000)), 'token-refused');
  const again = await roll(nowMs);
  assert.equal(await refusalOf(show(hub, tokenOf(hub, nowSeconds + 2))), 'token-refused');
  await show(hub, encodeDeviceToken('sensor-1', nowSeconds + 3, secret));
  await show(hub, encodeDeviceToken('sensor-1', nowSeconds + 4, again.secret));
});

test('a device that is not active, or switched off, reports nothing', async () => {
  await using hub = await hubWithSensor();
  let second = nowSeconds;
  const shown = () => show(hub, tokenOf(hub, (second += 1)));
  for (const state of ['registered', 'suspect', 'quarantined', 'wiped', 'retired'] as const) {
    await change(hub, { state });
    assert.equal(await refusalOf(shown()), 'token-refused', state);
  }
  await change(hub, { state: 'active', disabled_reason: 'sold' });
  assert.equal(await refusalOf(shown()), 'token-refused');
  await change(hub, { disabled_reason: null });
  await shown();
});

test('a secret of one device opens for no other, and a second device of one id is not added', async () => {
  await using hub = await hubWithSensor();
  assert.equal(
    await refusalOf(addTokenDevice(hub.database, hub.platformKey, { deviceId: 'sensor-1', ...by })),
    'conflict',
  );
  await addTokenDevice(hub.database, hub.platformKey, { deviceId: 'sensor-2', ...by });
  await hub.database.write((trx) =>
    trx.updateTable('device_secret').set({ device_id: 'sensor-2' }).where('device_id', '=', 'sensor-1').execute(),
  );
  const moved = encodeDeviceToken('sensor-2', nowSeconds, hub.secret);
  assert.equal(await refusalOf(show(hub, moved)), 'store-failed');
});

test('where one place is asked for, a token from elsewhere is refused while the device is heard', async () => {
  await using hub = await hubWithSensor();
  const rule = { ...identity, tokensBoundToAddress: true, silentSeconds: 60 };
  const from = (address: string, offset: number) =>
    useDeviceToken(hub.database, hub.platformKey, {
      token: tokenOf(hub, nowSeconds + offset),
      windowSeconds,
      address,
      sessionRule: rule,
      nowMs: nowMs + offset * 1_000,
    });
  await from('192.0.2.1', 0);
  assert.equal(await refusalOf(from('198.51.100.1', 10)), 'identity-in-use');
  await from('192.0.2.1', 11);
  await from('198.51.100.1', 80);
});
