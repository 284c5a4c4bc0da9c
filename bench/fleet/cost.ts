// What one release costs the hub in processor time: against the bare cryptography in it, measured in the same seconds, and in a large fleet against a
// small one, in turns. Ratios say the same on a busy machine and on another one.
import { setTimeout as pause } from 'node:timers/promises';
import type { BareAnswer } from '../children/bare-release.ts';
import { type Harness, number, spread } from '../harness.ts';
import type { BareProcess } from './bare.ts';
import type { DevicesProcess, HubProcess } from './processes.ts';

const atOnce = 128;
const setsAtOnce = 25;
const restMs = 100;
const BARE_TIMES_MAX = 4;
const GROWTH_MAX = 1.1;

export interface MeasuredFleet {
  readonly size: number;
  readonly hub: HubProcess;
  readonly devices: DevicesProcess;
}

interface Round {
  readonly hubMs: number;
  readonly bare: BareAnswer;
}

const totalOf = ({ verify, sign, wrap, records }: BareAnswer) => verify + sign + wrap + records;

/** Every device has got a key twice: code is compiled, caches are full, nothing is there for the first time. */
export async function warmUp({ size, devices }: MeasuredFleet): Promise<number> {
  let count = 0;
  while (count < 2 * size) count += (await devices.release(atOnce, 2)).count;
  return count;
}

/** The fleets in turns, the smallest first. Returns how many releases each has got. */
export async function measureCost(
  harness: Harness,
  fleets: readonly MeasuredFleet[],
  bare: BareProcess,
): Promise<ReadonlyMap<MeasuredFleet, number>> {
  const rounds = new Map<MeasuredFleet, Round[]>(fleets.map((fleet) => [fleet, []]));
  const counts = new Map<MeasuredFleet, number>(fleets.map((fleet) => [fleet, 0]));
  const [times, seconds] = harness.quick ? [3, 2] : [5, 5];
  for (let time = 0; time < times; time += 1) {
    for (const [fleet, all] of rounds) {
      const { round, count } = await measureRound(fleet, bare, seconds);
      all.push(round);
      counts.set(fleet, (counts.get(fleet) ?? 0) + count);
    }
  }
  for (const [{ size }, all] of rounds) judgeBare(harness, size, all);
  const [small, large] = [...rounds];
  if (small !== undefined && large !== undefined) judgeGrowth(harness, small, large);
  return counts;
}

async function measureRound({ hub, devices }: MeasuredFleet, bare: BareProcess, seconds: number) {
  const { bytesSent: bytesIn, bytesReceived: bytesOut } = await devices.release(atOnce, 0.5);
  const before = await hub.cpuMs();
  const load = devices.release(atOnce, seconds);
  const answers: BareAnswer[] = [];
  const ended = new AbortController();
  const watched = load.finally(() => ended.abort());
  while (!ended.signal.aborted) {
    answers.push(await bare.measure({ sets: setsAtOnce, bytesIn, bytesOut }));
    await pause(restMs);
  }
  const { count } = await watched;
  const hubMs = ((await hub.cpuMs()) - before) / count;
  const median = (part: keyof BareAnswer) => spread(answers.map((answer) => answer[part])).median;
  const parts = { verify: median('verify'), sign: median('sign'), wrap: median('wrap'), records: median('records') };
  return { round: { hubMs, bare: parts }, count };
}

function judgeBare(harness: Harness, size: number, rounds: readonly Round[]): void {
  const named = (what: string) => `${size} devices: ${what}`;
  const median = (of: (round: Round) => number) => spread(rounds.map(of)).median;
  harness.figure(
    named('hub processor time of one release'),
    median(({ hubMs }) => hubMs),
    'ms',
  );
  for (const [part, what] of parts)
    harness.figure(
      named(`bare cryptography: ${what}`),
      median(({ bare }) => bare[part]),
      'ms',
    );
  const times = spread(rounds.map(({ hubMs, bare }) => hubMs / totalOf(bare)));
  harness.verdict(
    times.median <= BARE_TIMES_MAX,
    named(
      `a release takes ${number(times.median)} times the processor time of its bare cryptography (${number(times.least)} to ${number(times.most)}; at most ${BARE_TIMES_MAX})`,
    ),
  );
}

const parts = [
  ['verify', 'verify the quote'],
  ['sign', 'sign the result'],
  ['wrap', 'wrap the key'],
  ['records', 'TLS records'],
] as const;

function judgeGrowth(
  harness: Harness,
  [small, smallRounds]: readonly [MeasuredFleet, readonly Round[]],
  [large, largeRounds]: readonly [MeasuredFleet, readonly Round[]],
): void {
  const growth = spread(largeRounds.map(({ hubMs }, at) => hubMs / (smallRounds[at]?.hubMs ?? Number.NaN)));
  harness.verdict(
    growth.median <= GROWTH_MAX,
    `a release at ${large.size} devices takes ${number(growth.median)} times the processor time of one at ${small.size} (${number(growth.least)} to ${number(growth.most)}; at most ${GROWTH_MAX})`,
  );
}
