// kill -9 of a node of the hub under load, on both engines: the short form of this is a test (tests/faults/kill.test.ts).
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { databaseOf } from '@edgekeep/hub/store/testing-place';
import type { Benchmark } from '../harness.ts';
import { runFaults, withCluster } from '../fleet/fault-run.ts';
import type { FaultFleet } from '../../tests/support/faults/fleet.ts';

/** A node at random, or the only one. */
async function killOne({ nodes }: FaultFleet): Promise<void> {
  const node = nodes.all[Math.floor(Math.random() * nodes.all.length)];
  await node?.kill();
  await node?.start();
}

export const bench: Benchmark = {
  name: 'node-kills',
  title: 'kill -9 of a hub under load',
  budget:
    'nothing that was answered is lost, nothing happens twice, the log does not fork, no key follows a quarantine that was answered, and the hub is back without a hand',
  async run(harness) {
    const [onSqlite, onPostgres] = harness.quick ? [5, 5] : [60, 60];
    const name = 'kill -9 of the hub';
    await runFaults(harness, { name: `${name}, SQLite`, times: onSqlite, options: {}, fault: killOne });
    await withCluster(async () => {
      const place = await databaseOf(join(await mkdtemp(join(harness.scratch, 'kills-')), 'hub'));
      await runFaults(harness, {
        name: `${name}, PostgreSQL`,
        times: onPostgres,
        options: { place },
        fault: killOne,
      });
    });
  },
};
