// The hub and the devices as separate processes, and the hub's resource use from the kernel (proc(5)).
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { hubNodeOptions, keyProcessOptions } from '@edgekeep/cli/program';
import type { HubAddress } from './connection.ts';
import { type FailureCounts, mergeFailures } from './failures.ts';
import { ownProcess } from './owned.ts';
import { mergeReturned, type Returned } from './returning.ts';
import type { ReturningAnswer, ReturningOrder } from './returning-main.ts';
import type { FleetProcessOrder, PhaseResult, QuarantineResult, ReleaseResult, Reply } from './orders.ts';

/** USER_HZ of Linux on every platform Node runs on. */
const ticksPerSecond = 100;
const returningProcesses = 8;

export interface HubProcess {
  readonly device: HubAddress;
  readonly operator: HubAddress;
  /** Processor time of all the hub's threads since its start. */
  cpuMs(): Promise<number>;
  /** Processor time of its main thread, the event loop. */
  mainThreadMs(): Promise<number>;
  residentBytes(): Promise<number>;
  /** Its maximum, since the start or the last `forgetPeak`. */
  peakResidentBytes(): Promise<number>;
  forgetPeak(): Promise<void>;
  /** kill -9, as in a power cut. */
  kill(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Runs `hub run` on a data folder, as `edgekeep hub run` does, on one processor where it is named. Flags for its Node, `--cpu-prof` for example, come from EDGEKEEP_BENCH_HUB_FLAGS. */
export async function startHubProcess(folder: string, processor?: string): Promise<HubProcess> {
  const main = fileURLToPath(import.meta.resolve('@edgekeep/hub/main'));
  const flags = (process.env['EDGEKEEP_BENCH_HUB_FLAGS'] ?? '').split(' ').filter((flag) => flag !== '');
  const args = [...keyProcessOptions, ...hubNodeOptions, ...flags, main, 'run', '--data', folder, '--json'];
  // taskset becomes the program.
  const [program, all] =
    processor === undefined ? [process.execPath, args] : ['taskset', ['-c', processor, process.execPath, ...args]];
  const child = ownProcess(spawn(program, all, { stdio: ['ignore', 'pipe', 'inherit'] }));
  const exited = once(child, 'exit');
  const first: unknown = await Promise.race([firstJson(child.stdout), exited.then(([code]) => code)]);
  if (typeof first !== 'string') throw new Error(`the hub ended with ${String(first)} before it was ready`);
  const { device, operator }: { readonly device: HubAddress; readonly operator: HubAddress } = JSON.parse(first);
  const proc = `/proc/${child.pid}`;
  const bytesOf = async (what: 'VmRSS' | 'VmHWM') => {
    const status = await readFile(`${proc}/status`, 'utf8');
    return Number(new RegExp(`^${what}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  };
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal);
    await exited;
  };
  return {
    device,
    operator,
    async cpuMs() {
      const stat = await readFile(`${proc}/stat`, 'utf8');
      // Fields 14 and 15, counted behind the program's name, which may hold spaces.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
    },
    async mainThreadMs() {
      // Nanoseconds on a processor, nanoseconds that it waited for one, and how often it ran.
      const [ran] = (await readFile(`${proc}/task/${child.pid}/schedstat`, 'utf8')).split(' ');
      return Number(ran) / 1e6;
    },
    residentBytes: () => bytesOf('VmRSS'),
    peakResidentBytes: () => bytesOf('VmHWM'),
    // proc(5): 5 resets the peak to the current value.
    forgetPeak: () => writeFile(`${proc}/clear_refs`, '5'),
    kill: () => end('SIGKILL'),
    [Symbol.asyncDispose]: () => end('SIGTERM'),
  };
}

// Flags of the hub's Node, `--trace-gc` for example, print lines of their own: they go on to the person who asked for them.
async function firstJson(output: Readable): Promise<string> {
  return new Promise((resolve) =>
    createInterface({ input: output }).on('line', (line) => {
      if (line.startsWith('{')) resolve(line);
      else console.error(line);
    }),
  );
}

/** Processor time of everything on this machine since it began, all cores together. */
export async function machineCpuMs(): Promise<number> {
  const [, user, nice, system, , , irq, softirq] = (await readFile('/proc/stat', 'utf8')).split(/\s+/, 8).map(Number);
  return (
    [user, nice, system, irq, softirq].reduce<number>((sum, ticks = 0) => sum + ticks, 0) * (1000 / ticksPerSecond)
  );
}

export interface DevicesProcess {
  connect(from: number, to: number): Promise<PhaseResult>;
  bind(from: number, to: number): Promise<PhaseResult>;
  release(atOnce: number, seconds: number): Promise<ReleaseResult>;
  pace(perSecond: number, seconds: number): Promise<ReleaseResult>;
  quarantine(count: number, operator: { readonly url: string; readonly token: string }): Promise<QuarantineResult>;
  receipts(maxReceipts: number): Promise<readonly string[]>;
  /** All failures, in any order. */
  readonly failures: FailureCounts;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A fleet with the agent's own connections (returning.ts), in several processes: a single one would do the work of all its devices in
 * lockstep.
 */
export interface ReturningProcesses {
  /** Each device at a different moment within this many seconds. */
  powerOn(withinSeconds: number): Promise<void>;
  mark(): Promise<void>;
  settled(maxSeconds: number): Promise<Returned>;
  [Symbol.asyncDispose](): Promise<void>;
}

export function startReturning(fleetFile: string, hub: HubAddress, size: number): ReturningProcesses {
  const main = fileURLToPath(import.meta.resolve('./returning-main.ts'));
  const share = Math.ceil(size / returningProcesses);
  const children = Array.from({ length: returningProcesses }, (_, at) => {
    const child = ownProcess(
      fork(main, [fleetFile, hub.host, String(hub.port), String(at * share), String((at + 1) * share)]),
    );
    return { child, exited: once(child, 'exit') };
  });
  const tell = (order: ReturningOrder) => Promise.all(children.map(({ child }) => ask<ReturningAnswer>(child, order)));
  return {
    powerOn: async (withinSeconds) => void (await tell({ kind: 'power-on', withinSeconds })),
    mark: async () => void (await tell({ kind: 'mark' })),
    async settled(maxSeconds) {
      const answers = await tell({ kind: 'settled', maxSeconds });
      return mergeReturned(answers.filter((answer) => answer !== 'done'));
    },
    async [Symbol.asyncDispose]() {
      for (const { child } of children) child.disconnect();
      await Promise.all(children.map(({ exited }) => exited));
    },
  };
}

export function startDevices(fleetFile: string, hub: HubAddress): DevicesProcess {
  const main = fileURLToPath(import.meta.resolve('./generator-main.ts'));
  const child = ownProcess(fork(main, [fleetFile, hub.host, String(hub.port)]));
  const exited = once(child, 'exit');
  let failures: FailureCounts = {};
  const counted = async <T extends PhaseResult>(result: Promise<T>): Promise<T> => {
    failures = mergeFailures([failures, (await result).failures]);
    return result;
  };
  return {
    connect: (from, to) => counted(ask(child, { kind: 'connect', from, to })),
    bind: (from, to) => counted(ask(child, { kind: 'bind', from, to })),
    release: (atOnce, seconds) => counted(ask(child, { kind: 'release', atOnce, seconds })),
    pace: (perSecond, seconds) => counted(ask(child, { kind: 'pace', perSecond, seconds })),
    async quarantine(count, operator) {
      const result = await ask<QuarantineResult>(child, { kind: 'quarantine', count, ...operator });
      await counted(Promise.resolve(result.others));
      return result;
    },
    receipts: (maxReceipts) => ask(child, { kind: 'receipts', maxReceipts }),
    get failures() {
      return failures;
    },
    async [Symbol.asyncDispose]() {
      child.disconnect();
      await exited;
    },
  };
}

// The type of the answer follows from the order: both ends belong to this benchmark.
async function ask<T>(child: ChildProcess, order: FleetProcessOrder | ReturningOrder): Promise<T> {
  const answered = Promise.withResolvers<T>();
  const exited = (code: number | null) => answered.reject(new Error(`the devices' process ended with ${code}`));
  child.once('exit', exited);
  child.once('message', (reply: Reply & { readonly answer?: T }) => {
    if (reply.kind === 'failed') answered.reject(new Error(reply.message));
    else if (reply.answer !== undefined) answered.resolve(reply.answer);
  });
  child.send(order);
  try {
    return await answered.promise;
  } finally {
    child.off('exit', exited);
  }
}
