// What a benchmark is and what it gets. To add one, put `bench/<name>.ts` beside this file and export
//   export const bench: Benchmark = { name: '<name>', title: '…', budget: '…', async run(harness) { … } };
// `npm run bench -- <name> [--quick]` runs it, prints it, keeps `bench/results/<name>.json` and renews docs/performance.md.
// Peers run side by side in one run, interleaved round by round, so that a busy machine slows all of them alike: trust the ratios.
// Programs that a benchmark starts live in `bench/children/`; they are not benchmarks.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { ownProcess } from './fleet/owned.ts';

export interface Benchmark {
  /** The file's name without `.ts`, and the marker in docs/performance.md. */
  readonly name: string;
  readonly title: string;
  /** The promise that this benchmark tests, in one sentence, as DESIGN.md has it. */
  readonly budget: string;
  run(harness: Harness): Promise<void>;
}

/** One contestant of a comparison. `run` does the work once; it may return its own measurement, else its wall time is taken. */
export interface Peer {
  readonly name: string;
  /** Why it cannot run here, for example `age is not installed`. The table names it as missing. */
  readonly missing?: string | undefined;
  run(): Promise<Measurement | undefined | void>;
}

export interface Measurement {
  readonly wallMs: number;
  readonly cpuMs?: number | undefined;
  readonly peakRssBytes?: number | undefined;
}

export interface ComparisonOptions {
  readonly title: string;
  /** The first peer is the base of the ratios: 2.00 means twice as fast. */
  readonly peers: readonly Peer[];
  /** Measured rounds; one unmeasured round runs before them. */
  readonly rounds: number;
  /** The amount of work of one run, for a rate: `{ amount: 1e8, unit: 'B' }` prints MB/s, any other unit prints unit/s. */
  readonly work?: { readonly amount: number; readonly unit: string } | undefined;
}

export interface PeerResult {
  readonly name: string;
  readonly missing?: string | undefined;
  readonly wallMs?: Spread;
  readonly cpuMs?: Spread | undefined;
  readonly peakRssBytes?: Spread | undefined;
  /** Work per second, in the unit of the comparison. */
  readonly rate?: Spread | undefined;
  /** Speed against the first peer, taken round by round. */
  readonly ratio?: Spread | undefined;
}

export interface Spread {
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

export interface Comparison {
  readonly title: string;
  readonly unit: string;
  readonly rounds: number;
  readonly peers: readonly PeerResult[];
}

/** A single number: `{ name: 'p99 of a release', value: 41.2, unit: 'ms' }`. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** Whether a budget is met, with the numbers in words; if not, by how much, why, and what would close the gap. */
export interface Verdict {
  readonly kept: boolean;
  readonly statement: string;
}

export interface Findings {
  readonly comparisons: readonly Comparison[];
  readonly figures: readonly Figure[];
  readonly verdicts: readonly Verdict[];
  readonly notes: readonly string[];
}

/** Input of a child process comes from `stdin` (a file) and its output goes to `stdout` (a file); otherwise neither is connected. */
export interface ChildOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  readonly stdout?: string;
}

/** The tools of a benchmark. Collects all results, in order. */
export class Harness {
  /** True with `--quick`: smaller amounts and fewer rounds. */
  readonly quick: boolean;
  /** An empty folder for this run; it is removed afterwards. */
  readonly scratch: string;
  readonly #comparisons: Comparison[] = [];
  readonly #figures: Figure[] = [];
  readonly #verdicts: Verdict[] = [];
  readonly #notes: string[] = [];
  readonly #print: (line: string) => void;

  constructor(quick: boolean, scratch: string, print: (line: string) => void) {
    this.quick = quick;
    this.scratch = scratch;
    this.#print = print;
  }

  /** Runs all peers `rounds` times, interleaved and in an order that rotates each round, after one unmeasured round. */
  async compare(options: ComparisonOptions): Promise<Comparison> {
    this.#print(`  ${options.title}`);
    const present = options.peers.filter((peer) => peer.missing === undefined);
    const rounds: Map<Peer, Measurement>[] = [];
    for (let round = 0; round <= options.rounds; round += 1) {
      const turn = round % Math.max(1, present.length);
      const measured = new Map<Peer, Measurement>();
      for (const peer of [...present.slice(turn), ...present.slice(0, turn)]) measured.set(peer, await timed(peer));
      if (round > 0) rounds.push(measured);
    }
    const comparison: Comparison = {
      title: options.title,
      unit: options.work?.unit ?? '',
      rounds: options.rounds,
      peers: options.peers.map((peer) => summarise(peer, options, rounds)),
    };
    this.#comparisons.push(comparison);
    for (const peer of comparison.peers) this.#print(`    ${describe(peer, comparison.unit)}`);
    return comparison;
  }

  /** Runs a program to its end and measures wall time, processor time and peak memory. Throws when it fails. */
  async child(program: string, args: readonly string[], options: ChildOptions = {}): Promise<Measurement> {
    return measureChild(program, args, options);
  }

  figure(name: string, value: number, unit: string): void {
    this.#figures.push({ name, value, unit });
    this.#print(`    ${name}: ${number(value)} ${unit}`);
  }

  verdict(kept: boolean, statement: string): void {
    this.#verdicts.push({ kept, statement });
    this.#print(`  ${kept ? 'kept  ' : 'missed'} ${statement}`);
  }

  note(text: string): void {
    this.#notes.push(text);
    this.#print(`  note: ${text}`);
  }

  /** For the person who waits; not kept. */
  progress(text: string): void {
    this.#print(`    ${text}`);
  }

  findings(): Findings {
    return { comparisons: this.#comparisons, figures: this.#figures, verdicts: this.#verdicts, notes: this.#notes };
  }
}

/** Median, least and most of some numbers; the list must not be empty. */
export function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = Math.floor(sorted.length / 2);
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, least: at(0), most: at(sorted.length - 1) };
}

/** The value below which `share` (0 to 1) of the values lie, by nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** Three significant digits, without exponent. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '-';
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return value.toPrecision(3);
}

async function timed(peer: Peer): Promise<Measurement> {
  const cpuBefore = process.cpuUsage();
  const before = performance.now();
  const own = await peer.run();
  const wallMs = performance.now() - before;
  if (own !== undefined) return own;
  const cpu = process.cpuUsage(cpuBefore);
  return { wallMs, cpuMs: (cpu.user + cpu.system) / 1000 };
}

function summarise(peer: Peer, options: ComparisonOptions, rounds: readonly Map<Peer, Measurement>[]): PeerResult {
  if (peer.missing !== undefined) return { name: peer.name, missing: peer.missing };
  const own = rounds.flatMap((round) => round.get(peer) ?? []);
  const first = options.peers[0];
  const ratios = rounds.flatMap((round) => {
    const base = first === undefined ? undefined : round.get(first);
    const mine = round.get(peer);
    return base === undefined || mine === undefined ? [] : [base.wallMs / mine.wallMs];
  });
  const { work } = options;
  return {
    name: peer.name,
    wallMs: spread(own.map((one) => one.wallMs)),
    cpuMs: spreadOfSome(own.map((one) => one.cpuMs)),
    peakRssBytes: spreadOfSome(own.map((one) => one.peakRssBytes)),
    rate: work === undefined ? undefined : spread(own.map((one) => (work.amount * 1000) / one.wallMs)),
    ratio: spreadOfSome(ratios),
  };
}

function spreadOfSome(values: readonly (number | undefined)[]): Spread | undefined {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? undefined : spread(known);
}

function describe(peer: PeerResult, unit: string): string {
  if (peer.missing !== undefined) return `${peer.name}: missing (${peer.missing})`;
  const parts = [peer.wallMs === undefined ? '' : `${number(peer.wallMs.median)} ms`];
  if (peer.rate !== undefined) parts.push(rateText(peer.rate.median, unit));
  if (peer.ratio !== undefined) {
    const { median, least, most } = peer.ratio;
    parts.push(`${median.toFixed(2)}x (${least.toFixed(2)} to ${most.toFixed(2)})`);
  }
  if (peer.peakRssBytes !== undefined) parts.push(`peak RSS ${number(peer.peakRssBytes.median / 2 ** 20)} MiB`);
  return `${peer.name}: ${parts.filter((part) => part !== '').join(', ')}`;
}

/** A rate for people: bytes in MB/s, everything else in its own unit. */
export function rateText(perSecond: number, unit: string): string {
  return unit === 'B' ? `${number(perSecond / 1e6)} MB/s` : `${number(perSecond)} ${unit}/s`;
}

// GNU time reports processor time and peak resident set of exactly the child, as the last line of stderr; without it only wall time is known.
const gnuTime = '/usr/bin/time';

async function measureChild(program: string, args: readonly string[], options: ChildOptions): Promise<Measurement> {
  const measured = existsSync(gnuTime);
  const redirected = redirect(program, args, options);
  const argv = measured ? [gnuTime, '-f', '%U %S %M', ...redirected] : redirected;
  const before = performance.now();
  const stderr = await succeed(argv, { ...process.env, ...options.environment });
  const wallMs = performance.now() - before;
  if (!measured) return { wallMs };
  const [user = 0, system = 0, peak = 0] = (stderr.trimEnd().split('\n').at(-1) ?? '').split(' ').map(Number);
  return { wallMs, cpuMs: (user + system) * 1000, peakRssBytes: peak * 1024 };
}

// The shell only opens the files and then becomes the program, so what is measured is the program.
function redirect(program: string, args: readonly string[], { stdin, stdout }: ChildOptions): readonly string[] {
  if (stdin === undefined && stdout === undefined) return [program, ...args];
  const script = 'exec <"$1" >"$2"; shift 2; exec "$@"';
  return ['/bin/sh', '-c', script, 'sh', stdin ?? '/dev/null', stdout ?? '/dev/null', program, ...args];
}

/** The end of what the program wrote to stderr. */
async function succeed(argv: readonly string[], environment: NodeJS.ProcessEnv): Promise<string> {
  const [program = '', ...args] = argv;
  const child = ownProcess(spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], env: environment }));
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2000)));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  child.once('error', reject);
  child.once('close', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`${argv.join(' ')} ended with ${code}: ${complaint}`));
  });
  await promise;
  return complaint;
}
