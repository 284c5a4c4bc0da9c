import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { assertWithinBudget, LeaseAlarm } from './release-budget.ts';
import { leasesAtMs as nowMs, storeWithLeases as storeWith } from './testing-leases.ts';

/** Three keys in a window: two, and twice the renewals. */
const settings = { leaseSeconds: 300, lease: { maxPerWindow: 2, windowSeconds: 100 } };
const press = { deviceId: 'press-1', model: 'belt', nowMs };

const check = ({ database }: TestStore, change: Partial<typeof press> = {}) =>
  assertWithinBudget(database.read, { ...press, ...change }, settings);

test('the last key of a budget is given, and the one after it is not', async () => {
  await using two = await storeWith({}, {});
  await check(two);
  await using three = await storeWith({}, {}, {});
  assert.equal(await refusalOf(check(three)), 'rate-limited: leases-used-up');
});

test('keys of another device, of another model and of an earlier window count for others', async () => {
  await using store = await storeWith({}, {}, { deviceId: 'press-2' }, { model: 'oven' }, { at: nowMs - 100_000 });
  await check(store);
  await using full = await storeWith({}, {}, { at: nowMs - 99_999 });
  assert.equal(await refusalOf(check(full)), 'rate-limited: leases-used-up');
  await check(full, { deviceId: 'press-2' });
  await check(full, { model: 'oven' });
});

test('keys that a hub gave before its clock was set back do not lock a device out', async () => {
  await using store = await storeWith({}, {}, { at: nowMs + 60_001 }, { at: nowMs + 3_600_000 });
  await check(store);
  await using near = await storeWith({}, {}, { at: nowMs + 60_000 });
  assert.equal(await refusalOf(check(near)), 'rate-limited: leases-used-up');
});

test('operators get one alert a minute for each device and model, also when it asks more often', async () => {
  await using store = await storeWith();
  const alarm = new LeaseAlarm(store.database);
  for (const [model, offset] of [
    ['belt', 0],
    ['belt', 59_999],
    ['oven', 0],
    ['belt', 60_000],
  ] as const)
    await alarm.raise({ deviceId: 'press-1', model, nowMs: nowMs + offset }, '192.0.2.1', settings);
  const alerts = await store.database.read.selectFrom('alert').select(['data', 'count']).execute();
  const told = alerts.map(({ data, count }) => `${modelIn(data)} ${count}`);
  assert.deepEqual(told.toSorted(), ['belt 2', 'oven 1']);
});

const modelIn = (data: string) => z.object({ model: z.string() }).parse(JSON.parse(data)).model;
