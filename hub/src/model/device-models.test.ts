// What devices report of their models, and what an operator orders: a report is a claim, and no claim undoes an order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelReport, ReportedFault } from '@edgekeep/wire/api/model-report';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { modelsOf, orderRetry, recordModels, retriesFor } from './device-models.ts';
import { devicesOfModel } from './devices-of-model.ts';
import { hubSettingsSchema } from '../settings.ts';

const digest = 'a'.repeat(64);
const devices = ['press-1', 'press-2', 'press-3'];
const { alerts } = hubSettingsSchema.parse({});
const settings = { alerts: { ...alerts, devicesRefusingRelease: 2 } };

const fault: ReportedFault = {
  version: '2.0.0',
  manifestDigest: digest,
  code: 'memory-short',
  place: 'open',
  message: 'no room',
  attempts: 3,
  final: true,
};
const serving: ModelReport = {
  model: 'belt',
  state: 'serving',
  version: '1.0.0',
  manifestDigest: 'b'.repeat(64),
  fault: null,
  retried: 0,
};
const locked: ModelReport = { ...serving, state: 'locked', version: null, manifestDigest: null, fault };

async function storeWithDevices(): Promise<TestStore> {
  const store = await openTestStore();
  await addDevices(store.database, ...devices.map((id) => deviceRow(id)));
  return store;
}
const report = ({ database }: TestStore, deviceId: string, models: readonly ModelReport[], nowMs = 1) =>
  database.write((trx) => recordModels(trx, { deviceId, models, nowMs }, settings));
const order = ({ database }: TestStore, deviceId = 'press-1', model = 'belt') =>
  orderRetry(database, { deviceId, model, actor: 'person:ada/desk', nowMs: 1 });
const alertStates = async ({ database }: TestStore) =>
  (await database.read.selectFrom('alert').select(['kind', 'state']).execute()).map(
    ({ kind, state }) => `${kind} ${state}`,
  );

test('a report is the whole: a model that it does not name is no longer on the device', async () => {
  await using store = await storeWithDevices();
  await report(store, 'press-1', [serving, { ...serving, model: 'oven' }]);
  await report(store, 'press-1', [serving]);
  const rows = await modelsOf(store.database.read, devices);
  assert.deepEqual(
    rows.map(({ device_id: id, model }) => `${id} ${model}`),
    ['press-1 belt'],
  );
});

test('several devices that finally refuse one release are one alert, which settles when none of them does any more', async () => {
  await using store = await storeWithDevices();
  await report(store, 'press-1', [locked]);
  await report(store, 'press-2', [{ ...locked, fault: { ...fault, final: false } }]);
  await report(store, 'press-3', [{ ...locked, fault: { ...fault, manifestDigest: 'c'.repeat(64) } }]);
  assert.deepEqual(await alertStates(store), []);
  await report(store, 'press-2', [locked]);
  assert.deepEqual(await alertStates(store), ['release-refused-by-devices open']);
  await report(store, 'press-1', [serving]);
  assert.deepEqual(await alertStates(store), ['release-refused-by-devices open']);
  await report(store, 'press-2', []);
  assert.deepEqual(await alertStates(store), ['release-refused-by-devices closed']);
});

test('an order to try again lasts until the device has followed it, and a number that it makes up ends no order', async () => {
  await using store = await storeWithDevices();
  assert.equal(await refusalOf(order(store)), 'not-found');
  await report(store, 'press-1', [{ ...locked, retried: 99 }]);
  const { number } = await order(store);
  assert.deepEqual(
    (await retriesFor(store.database.read, 'press-1')).map((each) => each.number),
    [number],
  );
  assert.deepEqual(await retriesFor(store.database.read, 'press-2'), []);
  await report(store, 'press-1', [{ ...locked, retried: number - 1 }]);
  assert.equal((await retriesFor(store.database.read, 'press-1')).length, 1);
  await report(store, 'press-1', [{ ...locked, retried: number }]);
  assert.deepEqual(await retriesFor(store.database.read, 'press-1'), []);
  assert.equal((await order(store)).number, number + 1);
});

test('a fault is as old as its first report with this release', async () => {
  await using store = await storeWithDevices();
  await report(store, 'press-1', [locked], 10);
  await report(store, 'press-1', [{ ...locked, fault: { ...fault, attempts: 4 } }], 20);
  const since = async () => (await modelsOf(store.database.read, ['press-1']))[0]?.fault_since;
  assert.equal(await since(), 10);
  await report(store, 'press-1', [{ ...locked, fault: { ...fault, manifestDigest: 'c'.repeat(64) } }], 30);
  assert.equal(await since(), 30);
});

test('the devices of a model are those that hold it and those that refuse it, by version and a page at a time', async () => {
  await using store = await storeWithDevices();
  await report(store, 'press-1', [serving]);
  await report(store, 'press-2', [locked]);
  await report(store, 'press-3', [{ ...serving, model: 'oven' }]);
  const page = async (version: string | undefined, after = '', limit = 10) =>
    (await devicesOfModel(store.database.read, { model: 'belt', version, after, limit })).map((row) => row.device_id);
  assert.deepEqual(await page(undefined), ['press-1', 'press-2']);
  assert.deepEqual([await page('1.0.0'), await page('2.0.0'), await page('3.0.0')], [['press-1'], ['press-2'], []]);
  assert.deepEqual(await page(undefined, 'press-1'), ['press-2']);
  assert.deepEqual(await page(undefined, '', 1), ['press-1']);
});
