// How an attack affects good callers (SECURITY.md, "D"). The hub has one processor to itself; attackers and probes share another. Each
// attack is tried, and the one with the most effect is measured over rounds: before, during and after the attack.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { AttackName, AttackOrder, AttackResult, ProbeOrder, Sample } from './attack/orders.ts';
import { otherPersonsToken } from './attack/other-person.ts';
import { makeFleet } from './fleet/fleet.ts';
import { type HubProcess, startHubProcess } from './fleet/processes.ts';
import { type Benchmark, type Harness, percentile, spread } from './harness.ts';

const SLOWER_MAX = 3;
const MEMORY_BYTES_MAX = 200 * 1024 * 1024;
const RECOVERY_SECONDS_MAX = 5;
const names: readonly AttackName[] = [
  'large bodies',
  'large arrays',
  'chunked bodies',
  'slow bodies',
  'small requests',
  'handshakes',
  'half handshakes',
  'guessed tokens',
  'large bodies without a token',
  'OCSP',
  'public documents',
  'a device within its rights',
  'an operator within its rights',
];

export const bench: Benchmark = {
  name: 'attack',
  title: 'Attack: what good callers notice',
  budget:
    "with the strongest attack running, a device's and an operator's p99 within 3x of quiet, memory within + 200 MB, recovery < 5 s; hub on one core, attackers and probes on the other, median of 5 rounds",
  async run(harness) {
    const fleet = await makeFleet(join(harness.scratch, 'hub'), harness.quick ? 300 : 20_000);
    await useDefaultLimits(fleet.folder);
    await using hub = await startHubProcess(fleet.folder, availableParallelism() > 1 ? '0' : undefined);
    const known = {
      fleetFile: fleet.file,
      device: hub.device,
      operator: hub.operator,
      token: fleet.operatorToken,
      address: '127.0.0.9',
    };
    const attackToken = await otherPersonsToken(known);
    const order = (seconds: number): ProbeOrder => ({ ...known, attackToken, seconds });
    const seconds = harness.quick ? 3 : 10;
    // Work that the hub does only for its first requests.
    await probe(order(2));
    const quiet = ratesOf(await probe(order(seconds)));
    harness.figure('quiet: p99 of the device', quiet.device, 'ms');
    harness.figure('quiet: p99 of the operator', quiet.operator, 'ms');
    let strongest: { name: AttackName; slower: number } | undefined;
    for (const name of names) {
      const { slower, result } = await attackOnce(order(seconds), name, hub, harness, quiet);
      harness.note(`${name}: ${Math.round(result.tries / seconds)} tries/s, ${JSON.stringify(result.outcomes)}`);
      if (strongest === undefined || slower > strongest.slower) strongest = { name, slower };
    }
    if (strongest !== undefined) await measureRounds(harness, order(seconds), hub, strongest.name);
  },
};

async function measureRounds(harness: Harness, order: ProbeOrder, hub: HubProcess, name: AttackName): Promise<void> {
  const rounds = harness.quick ? 1 : 5;
  const found: {
    readonly device: number;
    readonly operator: number;
    readonly bytes: number;
    readonly recovered: number;
  }[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const quiet = ratesOf(await probe(order));
    const before = await hub.residentBytes();
    const [samples] = await Promise.all([
      probe({ ...order, seconds: order.seconds + RECOVERY_SECONDS_MAX }),
      attack(order, name),
    ]);
    const began = Math.min(...samples.map(({ atMs }) => atMs));
    const during = ratesOf(samples.filter(({ atMs }) => atMs - began < order.seconds * 1_000));
    found.push({
      device: during.device / quiet.device,
      operator: during.operator / quiet.operator,
      bytes: (await hub.peakResidentBytes()) - before,
      recovered: recoveryOf(samples, began + order.seconds * 1_000, quiet),
    });
  }
  const median = (value: (each: (typeof found)[number]) => number) => spread(found.map(value)).median;
  const [device, operator] = [median((each) => each.device), median((each) => each.operator)];
  const [bytes, recovered] = [median((each) => each.bytes), median((each) => each.recovered)];
  harness.verdict(
    device <= SLOWER_MAX && operator <= SLOWER_MAX,
    `strongest: ${name}; p99 of a device ${device.toFixed(2)}x, of an operator ${operator.toFixed(2)}x of quiet (at most ${SLOWER_MAX}x), median of ${rounds} rounds`,
  );
  harness.verdict(
    bytes <= MEMORY_BYTES_MAX,
    `memory at its most + ${Math.round(bytes / 2 ** 20)} MiB (at most + 200 MB)`,
  );
  harness.verdict(
    recovered <= RECOVERY_SECONDS_MAX,
    `as before ${recovered.toFixed(1)} s after its end (at most ${RECOVERY_SECONDS_MAX} s)`,
  );
}

async function attackOnce(order: ProbeOrder, name: AttackName, hub: HubProcess, harness: Harness, quiet: Rates) {
  const [samples, result] = await Promise.all([probe(order), attack(order, name)]);
  const rates = ratesOf(samples);
  const slower = Math.max(rates.device / quiet.device, rates.operator / quiet.operator);
  const words = `p99 of device ${rates.device.toFixed(1)}, operator ${rates.operator.toFixed(1)}, newcomer ${rates.newcomer.toFixed(1)} ms; ${rates.failed} failed`;
  harness.figure(
    `${name} (${words}; hub ${Math.round((await hub.residentBytes()) / 2 ** 20)} MiB): slower`,
    slower,
    'x',
  );
  return { slower, result };
}

interface Rates {
  readonly device: number;
  readonly operator: number;
  readonly newcomer: number;
  readonly failed: number;
}

function ratesOf(samples: readonly Sample[]): Rates {
  const p99 = (who: Sample['who']) =>
    percentile(
      samples.filter((each) => each.who === who).map(({ ms }) => ms),
      0.99,
    );
  const failed = samples.filter((each) => each.failed).length;
  return { device: p99('device'), operator: p99('operator'), newcomer: p99('newcomer'), failed };
}

/** Seconds from the end of the attack to the last request that took more than three times the normal time. */
function recoveryOf(samples: readonly Sample[], endMs: number, quiet: Rates): number {
  const late = samples.filter(
    ({ who, atMs, ms }) => who !== 'newcomer' && atMs >= endMs && ms > SLOWER_MAX * quiet[who],
  );
  return Math.max(0, ...late.map(({ atMs, ms }) => (atMs + ms - endMs) / 1_000));
}

function probe(order: ProbeOrder): Promise<readonly Sample[]> {
  return child('attack/probe-main.ts', order);
}

function attack(order: ProbeOrder, name: AttackName): Promise<AttackResult> {
  const attackOrder: AttackOrder = { ...order, name, address: '127.0.0.3' };
  return child('attack/attacker-main.ts', attackOrder);
}

async function child<T>(file: string, order: object): Promise<T> {
  const args = [join(import.meta.dirname, file), JSON.stringify(order)];
  const pinned = availableParallelism() > 1;
  const [program, all] = pinned
    ? (['taskset', ['-c', '1', process.execPath, ...args]] as const)
    : ([process.execPath, args] as const);
  const running = spawn(program, all, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(running, 'exit');
  const output = await text(running.stdout);
  await ended;
  const answer: T = JSON.parse(output);
  return answer;
}

// The fleet's own settings are for measurements without an attacker.
async function useDefaultLimits(folder: string): Promise<void> {
  const file = join(folder, 'hub.json');
  const {
    maxAnonymousRequestsPerSecond: _,
    admission: __,
    ...settings
  }: Record<string, unknown> = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify(settings));
}
