// A node of the hub fails without an end: it is stopped for a minute while it may lead the jobs, and the clock of its machine is wrong.
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { databaseOf } from '@edgekeep/hub/store/testing-place';
import type { FaultFleet } from '../../tests/support/faults/fleet.ts';
import { type FaultRun, runFaults, withCluster } from '../fleet/fault-run.ts';
import type { Benchmark } from '../harness.ts';

const shiftedClock = fileURLToPath(new URL('../../tests/support/faults/shifted-clock.mjs', import.meta.url));
/** Within what a hub allows between its clock and the times in its store, and beyond it. */
const shiftsMs = [2_000, -2_000, 40_000, -40_000];

/** Stops one node after the other: one of them leads. */
function stopped(seconds: number): FaultRun['fault'] {
  return async ({ nodes }, time) => {
    const node = nodes.all[time % nodes.all.length];
    node?.signal('SIGSTOP');
    await setTimeout(seconds * 1_000);
    node?.signal('SIGCONT');
  };
}

/** Starts the last node again, with another clock each time; the first one has the machine's. */
async function skewed(fleet: FaultFleet, time: number): Promise<void> {
  const node = fleet.nodes.all.at(-1);
  if (node === undefined) return;
  await node.kill();
  const shift = String(shiftsMs[time % shiftsMs.length] ?? 0);
  node.options = { imports: [shiftedClock], environment: { EDGEKEEP_TEST_CLOCK_MS: shift } };
  await node.start();
  // It works with that clock for a while.
  await fleet.progress(20);
}

export const bench: Benchmark = {
  name: 'node-faults',
  title: 'A node of the hub stops, or its clock is wrong',
  budget:
    'nothing that was answered is lost, nothing happens twice, the log does not fork, no key follows a quarantine that was answered, and the node goes on or is started again without a hand',
  async run(harness) {
    const seconds = harness.quick ? 20 : 60;
    const name = `a node is stopped for ${seconds} s`;
    const fault = stopped(seconds);
    const times = harness.quick ? 1 : 2;
    await runFaults(harness, { name: `${name}, SQLite`, times, options: {}, fault });
    await withCluster(async () => {
      const place = async (what: string) => databaseOf(join(harness.scratch, what));
      await runFaults(harness, {
        name: `${name}, PostgreSQL, two nodes`,
        times: times * 2,
        options: { place: await place('stopped'), nodes: 2 },
        fault,
      });
      await runFaults(harness, {
        name: 'the clock of one node of two is 2 s and 40 s wrong, ahead and behind',
        times: harness.quick ? 2 : 8,
        options: { place: await place('skewed'), nodes: 2 },
        fault: skewed,
      });
    });
  },
};
