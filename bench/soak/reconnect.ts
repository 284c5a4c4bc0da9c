// A hub that goes away under its whole fleet and comes back: first by a power cut at the site (no device has a certificate), then killed
// and started again, several times. Every device has the agent's own connection, so reconnects spread as in the field.
import { join } from 'node:path';
import { failureText } from '../fleet/failures.ts';
import { makeFleet } from '../fleet/fleet.ts';
import { freePort } from '../../tests/support/free-port.ts';
import { type HubProcess, type ReturningProcesses, startHubProcess, startReturning } from '../fleet/processes.ts';
import type { Returned } from '../fleet/returning.ts';
import { type Benchmark, type Harness, number, percentile } from '../harness.ts';

/** Machines of one site take different times to start. */
const powerOnSeconds = 10;
/** The fleet size of the budget; below it the hub's warm-up, some tens of MiB, would count as the devices' memory. */
const fleetOfBudget = 10_000;
const EMPTY_BYTES_MAX = 250e6;
const DEVICE_KIB_MAX = 120;

export const bench: Benchmark = {
  name: 'reconnect',
  title: 'A hub restarts under its fleet',
  budget:
    'after a restart of the hub all of 10,000 devices are bound again, none refused, from one address; the hub stays within 250 MB + 120 KiB a device, storm after storm',
  async run(harness) {
    const size = harness.quick ? 500 : 10_000;
    const maxSeconds = harness.quick ? 120 : 900;
    const { folder, file } = await makeFleet(join(harness.scratch, 'hub'), size, await freePort());
    let hub = await startHubProcess(folder);
    await using devices = startReturning(file, hub.device, size);
    try {
      await devices.mark();
      const began = Date.now();
      await devices.powerOn(powerOnSeconds);
      const storm = { size, sinceMs: began, maxSeconds };
      await report(harness, 'power cut', { ...storm, hub, devices });
      for (let time = 1; time <= (harness.quick ? 2 : 3); time += 1) {
        await devices.mark();
        await hub.kill();
        hub = await startHubProcess(folder);
        await report(harness, `hub killed, ${ordinal[time - 1]} time`, {
          ...storm,
          hub,
          devices,
          sinceMs: Date.now(),
        });
      }
    } finally {
      await hub[Symbol.asyncDispose]();
    }
    harness.note(
      'All devices are one Node process on the same cores and come from one address, as behind a NAT; each holds its keys in software and speaks through the connection of the agent, with its defaults. Times count from when the hub listens again (after a power cut: from when the devices start), so they hold the time devices wait because they were refused while nobody listened. What bounds them here is two cores for both sides of every handshake and proof.',
    );
  },
};

const ordinal = ['first', 'second', 'third'] as const;

interface Storm {
  readonly hub: HubProcess;
  readonly devices: ReturningProcesses;
  readonly size: number;
  readonly sinceMs: number;
  readonly maxSeconds: number;
}

async function report(harness: Harness, what: string, storm: Storm): Promise<void> {
  const { hub, devices, size, sinceMs, maxSeconds } = storm;
  const returned = await devices.settled(maxSeconds);
  const seconds = returned.boundAtMs.map((at) => Math.max(0, at - sinceMs) / 1_000);
  const last = percentile(seconds, 1);
  harness.figure(`${what}: half of the devices bound after`, percentile(seconds, 0.5), 's');
  harness.figure(`${what}: p99 of the devices bound after`, percentile(seconds, 0.99), 's');
  harness.figure(`${what}: all bound after`, last, 's');
  const attested = returned.attestedAtMs.map((at) => Math.max(0, at - sinceMs) / 1_000);
  harness.figure(`${what}: half of the devices attested after`, percentile(attested, 0.5), 's');
  harness.figure(`${what}: all attested after`, percentile(attested, 1), 's');
  harness.figure(`${what}: quotes for each device`, returned.quotes / size, '');
  harness.figure(`${what}: processor time of the hub for each device`, (await hub.cpuMs()) / size, 'ms');
  harness.figure(`${what}: attempts for each device`, 1 + returned.failedAtMs.length / size, '');
  harness.figure(`${what}: most devices bound in one second`, busiestSecond(seconds), '');
  const peak = await hub.peakResidentBytes();
  const maxPeak = EMPTY_BYTES_MAX + Math.max(size, fleetOfBudget) * DEVICE_KIB_MAX * 1024;
  harness.figure(`${what}: hub RSS at its most`, peak / 2 ** 20, 'MiB');
  harness.verdict(
    seconds.length === size && attested.length === size && isEmpty(returned.refusals) && peak < maxPeak,
    `${what}: ${seconds.length} of ${size} devices bound within ${number(last)} s, ${attested.length} attested within ${number(percentile(attested, 1))} s, refused: ${failureText(returned.refusals)}; attempts that failed: ${failureText(returned.failures)}; hub at most ${number(peak / 1e6)} MB (below ${number(maxPeak / 1e6)})`,
  );
}

const isEmpty = (counts: Returned['refusals']) => Object.keys(counts).length === 0;

function busiestSecond(seconds: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const second of seconds) counts.set(Math.floor(second), (counts.get(Math.floor(second)) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}
