// One attack and the good callers beside it: the samples of the probe while an attacker runs, and what they say.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { ownProcess } from '../fleet/owned.ts';
import type { HubProcess } from '../fleet/processes.ts';
import { percentile } from '../harness.ts';
import type { AttackName, AttackOrder, AttackResult, ProbeOrder, Sample } from './orders.ts';

export const SLOWER_MAX = 3;
export const RECOVERY_SECONDS_MAX = 5;

export interface Rates {
  readonly device: number;
  readonly operator: number;
  readonly newcomer: number;
  readonly failed: number;
}

export interface Attacked {
  /** Against quiet, the worse of device and operator. */
  readonly slower: number;
  readonly device: number;
  readonly operator: number;
  readonly rates: Rates;
  readonly result: AttackResult;
  /** The most memory while it ran, over what the hub held before. */
  readonly grownBytes: number;
  readonly peakBytes: number;
  /** Undefined where the probe did not go on after its end. */
  readonly recoveredSeconds: number | undefined;
}

export async function quietRates(order: ProbeOrder): Promise<Rates> {
  return ratesOf(await probe(order));
}

/** `recovery`: the probe goes on after the attack. */
export async function attacked(
  hub: HubProcess,
  order: AttackOrder,
  { quiet, recovery }: { readonly quiet: Rates; readonly recovery: boolean },
): Promise<Attacked> {
  const before = await hub.residentBytes();
  await hub.forgetPeak();
  const probed = recovery ? { ...order, seconds: order.seconds + RECOVERY_SECONDS_MAX } : order;
  const [samples, result] = await Promise.all([probe(probed), attack(order)]);
  const peakBytes = await hub.peakResidentBytes();
  const began = Math.min(...samples.map(({ atMs }) => atMs));
  const endMs = began + order.seconds * 1_000;
  const rates = ratesOf(samples.filter(({ atMs }) => atMs < endMs));
  const [device, operator] = [rates.device / quiet.device, rates.operator / quiet.operator];
  return {
    slower: Math.max(device, operator),
    device,
    operator,
    rates,
    result,
    grownBytes: peakBytes - before,
    peakBytes,
    recoveredSeconds: recovery ? recoveryOf(samples, endMs, quiet) : undefined,
  };
}

/** An attack with nobody beside it. */
export function attack(order: AttackOrder): Promise<AttackResult> {
  return child('attacker-main.ts', order);
}

/** Each run of an attack comes from an address of its own: what the hub refuses to one that attacked before is no part of the next. */
export function attackOrders(order: ProbeOrder): (name: AttackName, seconds: number) => AttackOrder {
  let runs = 0;
  return (name, seconds) => {
    runs += 1;
    return { ...order, name, seconds, address: `127.${20 + (runs % 200)}.0.3` };
  };
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

export function probe(order: ProbeOrder): Promise<readonly Sample[]> {
  return child('probe-main.ts', order);
}

async function child<T>(file: string, order: object): Promise<T> {
  const args = [join(import.meta.dirname, file), JSON.stringify(order)];
  const pinned = availableParallelism() > 1;
  const niceness = file === 'attacker-main.ts' ? '19' : '0';
  const [program, all] = pinned
    ? (['nice', ['-n', niceness, 'taskset', '-c', '1', process.execPath, ...args]] as const)
    : ([process.execPath, args] as const);
  const running = ownProcess(spawn(program, all, { stdio: ['ignore', 'pipe', 'inherit'] }));
  const ended = once(running, 'exit');
  const output = await text(running.stdout);
  await ended;
  const answer: T = JSON.parse(output);
  return answer;
}
