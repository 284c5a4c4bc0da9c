// The job that watches the hub's time, and the way back from a wrong one (docs/design/hub-time.md).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubTime, latestTimeIn } from '../store/hub-time.ts';
import { openTestStore } from '../store/testing-store.ts';
import { hubClock } from './hub-clock.ts';

const startMs = 1_800_000_000_000;

// SECURITY.md: HUB-69
test('a clock that is behind is one alert, which closes when the clock is right; each run keeps the latest time', async () => {
  await using store = await openTestStore();
  const { database } = store;
  let wallMs = startMs;
  const options = { system: () => wallMs, elapsedMs: () => 0, maxBehindSeconds: 60 };
  const time = await HubTime.open(database.read, options);
  const [job] = hubClock(database, time).jobs ?? [];
  assert.ok(job);
  const run = async () => {
    await job.run(new AbortController().signal);
    const rows = await database.read.selectFrom('alert').selectAll().execute();
    return rows.map(({ kind, severity, state }) => `${kind} ${severity} ${state}`);
  };
  assert.deepEqual(await run(), []);
  assert.equal(await latestTimeIn(database.read), startMs);
  wallMs = startMs - 3_600_000;
  assert.deepEqual(await run(), ['hub-clock critical open']);
  assert.deepEqual(await run(), ['hub-clock critical open']);
  assert.equal(await latestTimeIn(database.read), startMs);
  wallMs = startMs + 1_000;
  assert.deepEqual(await run(), ['hub-clock critical closed']);
  assert.equal(await latestTimeIn(database.read), startMs + 1_000);
});
