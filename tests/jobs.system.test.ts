// The hub's jobs as an operator sees them, and docs/jobs.md compared with a running hub.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { jobList } from '@edgekeep/wire/api/job';
import { HubWorld } from './support/hub-world.ts';

test('docs/jobs.md has every job of a running hub, and no job is missing', async () => {
  await using world = await HubWorld.open();
  const { jobs } = await world.operator.get('/v1/jobs', jobList);
  const page = readFileSync(join(import.meta.dirname, '../docs/jobs.md'), 'utf8');
  const explained = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name ?? '');
  // It is added only to hubs with devices from an earlier version.
  const expected = explained.filter((name) => name !== 'maker-backfill');
  assert.deepEqual(jobs.map(({ name }) => name).toSorted(), expected.toSorted());
  assert.deepEqual(
    jobs.filter(({ lastError }) => lastError !== null),
    [],
  );
});
