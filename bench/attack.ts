// How an attack affects good callers (SECURITY.md, "D"). The hub has one processor to itself; attackers and probes share another, and a
// probe that is due runs first: good callers have machines of their own. All attacks run against one hub, first unmeasured, then tried; each
// that seems to have an effect is measured over rounds: before, during and after it. One try says little: its p99 is the second longest of
// some hundred requests.
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Attacked,
  attack,
  attacked,
  attackOrders,
  probe,
  quietRates,
  type Rates,
  RECOVERY_SECONDS_MAX,
  SLOWER_MAX,
} from './attack/measure.ts';
import type { AttackName, AttackOrder, ProbeOrder } from './attack/orders.ts';
import { otherPersonsToken } from './attack/other-person.ts';
import { makeFleet } from './fleet/fleet.ts';
import { type HubProcess, startHubProcess } from './fleet/processes.ts';
import { type Benchmark, type Harness, spread } from './harness.ts';

const MEMORY_BYTES_MAX = 200 * 1024 * 1024;
// A hub without requests takes a hundredth of a processor.
const SETTLED_SHARE = 0.05;
const SETTLED_LOOK_MILLISECONDS = 2_000;
const SETTLED_LOOKS_MAX = 60;
/** Above this in its first try, an attack is tried twice more. */
const TRIED_AGAIN_ABOVE = 2;
const names: readonly AttackName[] = [
  'large bodies',
  'large arrays',
  'chunked bodies',
  'slow bodies',
  'small requests',
  'handshakes',
  'half handshakes',
  'held handshakes',
  'guessed tokens',
  'large bodies without a token',
  'OCSP',
  'public documents',
  'a device within its rights',
  'an operator within its rights',
];

interface Settings {
  readonly devices: number;
  readonly warmUpSeconds: number;
  readonly trySeconds: number;
  readonly roundSeconds: number;
  readonly rounds: number;
}

const full: Settings = { devices: 20_000, warmUpSeconds: 2, trySeconds: 5, roundSeconds: 10, rounds: 5 };
const short: Settings = { devices: 300, warmUpSeconds: 1, trySeconds: 2, roundSeconds: 3, rounds: 1 };

/** The hub and the ways to measure at it. */
interface Scene {
  readonly harness: Harness;
  readonly settings: Settings;
  readonly hub: HubProcess;
  readonly order: ProbeOrder;
  readonly orderOf: (name: AttackName, seconds: number) => AttackOrder;
  readonly peaks: number[];
  /** Each time that nobody attacked; the least is quiet. */
  readonly quiets: Rates[];
}

interface Tried {
  readonly name: AttackName;
  readonly tries: Attacked[];
}

export const bench: Benchmark = {
  name: 'attack',
  title: 'Attack: what good callers notice',
  budget:
    "with the strongest attack running, a device's and an operator's p99 within 3x of quiet, memory within + 200 MB, also over all attacks after each other, recovery < 5 s; hub on one core, attackers and probes on the other, median of 5 rounds",
  async run(harness) {
    const settings = harness.quick ? short : full;
    const fleet = await makeFleet(join(harness.scratch, 'hub'), settings.devices);
    await useDefaultLimits(fleet.folder);
    const processor = availableParallelism() > 1 ? '0' : undefined;
    await startForTheFirstTime(fleet.folder, processor);
    await using hub = await startHubProcess(fleet.folder, processor);
    const known = {
      fleetFile: fleet.file,
      device: hub.device,
      operator: hub.operator,
      token: fleet.operatorToken,
      address: '127.0.0.9',
    };
    const order: ProbeOrder = { ...known, attackToken: await otherPersonsToken(known), seconds: 2 };
    // Work that the hub does only for its first requests.
    await probe(order);
    const startBytes = await hub.residentBytes();
    const scene: Scene = {
      harness,
      settings,
      hub,
      order,
      orderOf: attackOrders(order),
      peaks: [startBytes],
      quiets: [],
    };
    await warmUp(scene);
    const tried = await tryAll(scene);
    const grown = Math.max(...scene.peaks) - startBytes;
    await measureRounds(scene, chosenOf(tried));
    harness.verdict(
      grown <= MEMORY_BYTES_MAX,
      `memory over the mixed series, all ${names.length} attacks after each other in one hub: at its most + ${mebibytes(grown)} MiB over the ${mebibytes(startBytes)} MiB before (at most + 200 MB)`,
    );
  },
};

// A hub's first start takes in the whole fleet, at work for seconds after it is ready, with garbage that would hide what an attack adds to its
// memory. A hub that is attacked has done that long ago.
async function startForTheFirstTime(folder: string, processor: string | undefined): Promise<void> {
  await using hub = await startHubProcess(folder, processor);
  let beforeMs = await hub.cpuMs();
  for (let looks = 0; looks < SETTLED_LOOKS_MAX; looks += 1) {
    await delay(SETTLED_LOOK_MILLISECONDS);
    const nowMs = await hub.cpuMs();
    if (nowMs - beforeMs < SETTLED_LOOK_MILLISECONDS * SETTLED_SHARE) return;
    beforeMs = nowMs;
  }
}

// The first large body, the first thousand handshakes: code that is not compiled yet, memory that V8 has not asked for yet.
async function warmUp({ harness, settings, hub, orderOf, peaks }: Scene): Promise<void> {
  for (const name of names) {
    await hub.forgetPeak();
    await attack(orderOf(name, settings.warmUpSeconds));
    peaks.push(await hub.peakResidentBytes());
    harness.progress(`warm-up: ${name}; hub ${mebibytes(await hub.residentBytes())} MiB`);
  }
}

async function tryAll(scene: Scene): Promise<readonly Tried[]> {
  const { harness, hub, quiets } = scene;
  const tried: readonly Tried[] = names.map((name) => ({ name, tries: [] }));
  for (const [at, pass] of ['first', 'second', 'third'].entries()) {
    const again = tried.filter(({ tries: [first] }) => first === undefined || first.slower > TRIED_AGAIN_ABOVE);
    if (again.length === 0) break;
    for (let left = at === 0 ? 3 : 1; left > 0; left -= 1)
      quiets.push(await quietRates({ ...scene.order, seconds: scene.settings.trySeconds }));
    const quiet = quietestOf(quiets);
    harness.progress(
      `${pass} tries; quiet: device ${quiet.device.toFixed(1)}, operator ${quiet.operator.toFixed(1)} ms`,
    );
    for (const { name, tries } of again) {
      const attempt = await attacked(hub, scene.orderOf(name, scene.settings.trySeconds), { quiet, recovery: false });
      tries.push(attempt);
      scene.peaks.push(attempt.peakBytes);
      harness.progress(`${name}, try ${at + 1}: ${attempt.slower.toFixed(2)}x`);
      if (at === 0) noteOutcomes(scene, name, attempt);
    }
  }
  harness.figure(`quiet: p99 of the device, least of ${quiets.length}`, quietestOf(quiets).device, 'ms');
  harness.figure(`quiet: p99 of the operator, least of ${quiets.length}`, quietestOf(quiets).operator, 'ms');
  for (const { name, tries } of tried) {
    const rates = tries.map((attempt) => `${attempt.device.toFixed(1)} and ${attempt.operator.toFixed(1)}`).join(', ');
    const words = tries.length === 1 ? 'one try' : `median of ${tries.length} tries`;
    harness.figure(`${name} (device and operator in each try: ${rates}): slower, ${words}`, medianOf(tries), 'x');
  }
  return tried;
}

// What else runs on the machine makes a quiet second slower, and with it every attack seem weaker; nothing makes it faster.
function quietestOf(quiets: readonly Rates[]): Rates {
  const least = (value: (rates: Rates) => number) => Math.min(...quiets.map(value));
  return {
    device: least(({ device }) => device),
    operator: least(({ operator }) => operator),
    newcomer: least(({ newcomer }) => newcomer),
    failed: least(({ failed }) => failed),
  };
}

function noteOutcomes({ harness, settings }: Scene, name: AttackName, { result, rates }: Attacked): void {
  const each = `${Math.round(result.tries / settings.trySeconds)} tries/s, ${JSON.stringify(result.outcomes)}`;
  const callers = `newcomer's p99 ${rates.newcomer.toFixed(1)} ms, ${rates.failed} good requests failed`;
  harness.note(`${name}: ${each}; ${callers}`);
}

/** The strongest, and every other above the bar, strongest first. */
function chosenOf(tried: readonly Tried[]): readonly AttackName[] {
  const sorted = tried.toSorted((a, b) => medianOf(b.tries) - medianOf(a.tries));
  return sorted.filter(({ tries }, at) => at === 0 || medianOf(tries) > SLOWER_MAX).map(({ name }) => name);
}

function medianOf(tries: readonly Attacked[]): number {
  return spread(tries.map(({ slower }) => slower)).median;
}

// In a different order each round, so that none has the same one before it.
async function measureRounds(scene: Scene, chosen: readonly AttackName[]): Promise<void> {
  const { harness, settings, hub } = scene;
  const found = new Map(chosen.map((name): [AttackName, Attacked[]] => [name, []]));
  for (let round = 0; round < settings.rounds; round += 1) {
    scene.quiets.push(await quietRates({ ...scene.order, seconds: settings.roundSeconds }));
    const quiet = quietestOf(scene.quiets);
    const turn = round % chosen.length;
    for (const name of [...chosen.slice(turn), ...chosen.slice(0, turn)]) {
      const one = await attacked(hub, scene.orderOf(name, settings.roundSeconds), { quiet, recovery: true });
      found.get(name)?.push(one);
      harness.progress(
        `round ${round + 1} of ${settings.rounds}, ${name}: device ${one.device.toFixed(2)}x, operator ${one.operator.toFixed(2)}x`,
      );
    }
  }
  for (const [at, [name, rounds]] of [...found].entries()) tellRounds(harness, name, rounds, at === 0);
}

function tellRounds(harness: Harness, name: AttackName, rounds: readonly Attacked[], isStrongest: boolean): void {
  const of = (value: (each: Attacked) => number) => spread(rounds.map(value));
  const [device, operator] = [of((each) => each.device), of((each) => each.operator)];
  const bytes = of((each) => each.grownBytes).median;
  const recovered = of((each) => each.recoveredSeconds ?? Number.NaN).median;
  const words = ({ median, least, most }: ReturnType<typeof spread>) =>
    `${median.toFixed(2)}x (${least.toFixed(2)} to ${most.toFixed(2)})`;
  const title = isStrongest ? `strongest of the tries: ${name}` : name;
  harness.verdict(
    device.median <= SLOWER_MAX && operator.median <= SLOWER_MAX,
    `${title}: p99 of a device ${words(device)}, of an operator ${words(operator)} of quiet (at most ${SLOWER_MAX}x), median of ${rounds.length} rounds`,
  );
  harness.verdict(
    bytes <= MEMORY_BYTES_MAX,
    `${name}: memory at its most + ${mebibytes(bytes)} MiB (at most + 200 MB)`,
  );
  harness.verdict(
    recovered <= RECOVERY_SECONDS_MAX,
    `${name}: as before ${recovered.toFixed(1)} s after its end (at most ${RECOVERY_SECONDS_MAX} s)`,
  );
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
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
