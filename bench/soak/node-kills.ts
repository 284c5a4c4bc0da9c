// kill -9 of a node of the hub under load, on both engines: the short form of this is a test (tests/faults/kill.test.ts).
import { join } from 'node:path';
import { databaseOf } from '@edgekeep/hub/store/testing-place';
import type { FaultFleet } from '../../tests/support/faults/fleet.ts';
import { runFaults, withCluster } from '../fleet/fault-run.ts';
import type { Benchmark } from '../harness.ts';

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
    'nothing that was answered is lost, nothing happens twice, the log does not fork, no key follows a quarantine that was answered, and the node is back without a hand',
  async run(harness) {
    const [onSqlite, onPostgres, ofTwo] = harness.quick ? [5, 5, 5] : [60, 60, 80];
    const name = 'kill -9 of a node';
    await runFaults(harness, { name: `${name}, SQLite`, times: onSqlite, options: {}, fault: killOne });
    await withCluster(async () => {
      for (const [nodes, times] of [
        [1, onPostgres],
        [2, ofTwo],
      ] as const) {
        const place = await databaseOf(join(harness.scratch, `kills-${nodes}`));
        const what = `${name}, PostgreSQL, ${nodes === 1 ? 'one node' : 'two nodes'}`;
        await runFaults(harness, { name: what, times, options: { place, nodes }, fault: killOne });
      }
    });
  },
};
