import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { HubError } from '../common/error.ts';
import { openTestStore } from '../store/testing-store.ts';
import { storeWatch } from './store-watch.ts';

test('a store that took no commits is in the metric meanwhile, one alert afterwards, and the alert closes after a calm hour', async () => {
  await using store = await openTestStore();
  const { database } = store;
  let nowMs = 1_800_000_000_000;
  let isAway = false;
  const failing: Pick<typeof database, 'read' | 'writeAsHub'> = {
    read: database.read,
    writeAsHub: async (work) => {
      if (isAway) throw new HubError('store-unavailable', 'the database of the store takes no connections');
      return database.writeAsHub(work);
    },
  };
  const registry = new Registry();
  const watch = storeWatch(failing, () => nowMs);
  watch.metrics?.(registry);
  const [job] = watch.jobs ?? [];
  assert.ok(job);
  const run = () => job.run(new AbortController().signal);
  const alerts = async () => {
    const rows = await database.read.selectFrom('alert').selectAll().execute();
    return rows.map(({ kind, severity, state, title }) => `${kind} ${severity} ${state}: ${title}`);
  };
  await run();
  isAway = true;
  await assert.rejects(run(), { code: 'store-unavailable' });
  nowMs += 42_000;
  await assert.rejects(run(), { code: 'store-unavailable' });
  assert.match(await registry.metrics(), /^edgekeep_store_unavailable_seconds 42$/m);
  assert.deepEqual(await alerts(), []);
  isAway = false;
  await run();
  assert.match(await registry.metrics(), /^edgekeep_store_unavailable_seconds 0$/m);
  const text = 'the store took no commits for 42 s: the database of the store takes no connections';
  assert.deepEqual(await alerts(), [`store-unavailable high open: ${text}`]);
  await run();
  assert.equal((await alerts()).length, 1);
  nowMs += 3_600_000;
  await run();
  assert.deepEqual(await alerts(), [`store-unavailable high closed: ${text}`]);
});
