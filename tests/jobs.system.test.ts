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
  // Hubs with devices from an earlier version have the first, hubs with the setting `witness.public` the second, nodes of several the next seven,
  // hubs with a bucket the last.
  const absent = [
    'maker-backfill',
    'public-witnesses',
    'leader',
    'store-follow',
    'shared-cosignatures',
    'server-certificate',
    'node-claim',
    'node-watch',
    'node-silence',
    'artifact-clean-up',
    'artifact-probe',
  ];
  const expected = explained.filter((name) => !absent.includes(name));
  assert.deepEqual(jobs.map(({ name }) => name).toSorted(), expected.toSorted());
  assert.deepEqual(
    jobs.filter(({ lastError }) => lastError !== null),
    [],
  );
});
