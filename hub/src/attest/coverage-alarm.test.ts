import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openTestStore } from '../store/testing-store.ts';
import { weighCoverage } from './coverage-alarm.ts';

test('there is an alert while nothing says which agent runs, and none once its PCR must be covered', async () => {
  await using store = await openTestStore();
  const weigh = async (coveredPcrs: readonly number[], stagesNotCovered = true) => {
    await weighCoverage(store.database, { attestation: { coveredPcrs }, alerts: { stagesNotCovered } }, 1);
    const rows = await store.database.read.selectFrom('alert').select(['kind', 'state']).execute();
    return rows.map(({ kind, state }) => `${kind} ${state}`);
  };
  assert.deepEqual(await weigh([], false), []);
  assert.deepEqual(await weigh([14]), []);
  assert.deepEqual(await weigh([]), ['stages-not-covered open']);
  assert.deepEqual(await weigh([14]), ['stages-not-covered closed']);
});
