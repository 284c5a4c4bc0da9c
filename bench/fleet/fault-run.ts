// One run of faults: a fleet works on a hub, the fault comes again and again at moments that nobody chose, and at the end every answer that the clients
// got is checked against the log.
import { randomInt } from 'node:crypto';
import { FaultFleet, type FleetOptions, reportText } from '../../tests/support/faults/fleet.ts';
import { startTestCluster } from '@edgekeep/hub/store/testing-cluster';
import type { Harness } from '../harness.ts';

/** Answers between two faults, with more requests under way. */
const ANSWERS_MAX = 40;

export interface FaultRun {
  /** As a figure names it: `kill -9 of the hub, PostgreSQL, 2 nodes`. */
  readonly name: string;
  readonly times: number;
  readonly options: FleetOptions;
  /** Brings the fault about, and ends it where it does not end alone. */
  readonly fault: (fleet: FaultFleet, time: number) => Promise<void>;
}

export async function runFaults(harness: Harness, { name, times, options, fault }: FaultRun): Promise<void> {
  await using fleet = await FaultFleet.open({ doomed: Math.ceil(times / 10), ...options });
  await fleet.begin();
  for (let time = 0; time < times; time += 1) {
    if (time % 10 === 5) fleet.revokeOne();
    await fleet.progress(randomInt(1, ANSWERS_MAX));
    await fault(fleet, time);
    await fleet.allServe();
    if (time % 10 === 9) harness.progress(`${name}: ${time + 1} of ${times}`);
  }
  await fleet.progress(ANSWERS_MAX);
  const report = await fleet.end();
  for (const problem of report.problems.slice(0, 20)) harness.progress(`PROBLEM ${problem}`);
  for (const { name: node, endings, failedStarts } of fleet.nodes.all) {
    for (const said of new Set(endings)) harness.progress(`${node} ended: ${said}`);
    for (const said of new Set(failedStarts)) harness.progress(`${node} did not start: ${said}`);
  }
  const ended = fleet.nodes.all.map(
    ({ name: node, endings, failedStarts }) =>
      `${node} ended ${endings.length} times without an order, and needed ${failedStarts.length} further starts`,
  );
  harness.figure(`${name}: faults`, times, '');
  harness.figure(`${name}: keys released`, report.keys, '');
  harness.figure(`${name}: answers lost`, report.lost, '');
  harness.verdict(
    report.problems.length === 0,
    `${name}: ${times} times, ${reportText(report)}, ${report.problems.length} that no order of events explains; every node is back without a hand (${ended.join('; ')})`,
  );
}

/** Has tests make their databases on one server, until the run ends. */
export async function withCluster(work: () => Promise<void>): Promise<void> {
  using cluster = await startTestCluster();
  process.env['EDGEKEEP_TEST_CLUSTER'] = cluster.folder;
  try {
    await work();
  } finally {
    delete process.env['EDGEKEEP_TEST_CLUSTER'];
  }
}
