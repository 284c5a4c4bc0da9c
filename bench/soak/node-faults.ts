// A node of the hub that is no clean death: its clock is set forward and back between two starts, and it is stopped for a minute while it works.
import { setTimeout } from 'node:timers/promises';
import { databaseOf } from '@edgekeep/hub/store/testing-place';
import { join } from 'node:path';
import { runFaults, withCluster } from '../fleet/fault-run.ts';
import type { Benchmark } from '../harness.ts';

export const bench: Benchmark = {
  name: 'node-faults',
  title: 'A node of the hub stops, and comes back',
  budget:
    'after a SIGSTOP of a minute nothing that was answered is lost, nothing happens twice, the log does not fork, no key follows a quarantine that was answered, and the node goes on or is started again without a hand',
  async run(harness) {
    const seconds = harness.quick ? 20 : 60;
    const times = harness.quick ? 1 : 3;
    const fault: Parameters<typeof runFaults>[1]['fault'] = async ({ nodes }) => {
      nodes.all[0]?.signal('SIGSTOP');
      await setTimeout(seconds * 1_000);
      nodes.all[0]?.signal('SIGCONT');
    };
    const name = `the hub is stopped for ${seconds} s`;
    await runFaults(harness, { name: `${name}, SQLite`, times, options: {}, fault });
    await withCluster(async () => {
      const place = await databaseOf(join(harness.scratch, 'stopped'));
      await runFaults(harness, { name: `${name}, PostgreSQL`, times, options: { place }, fault });
    });
  },
};
