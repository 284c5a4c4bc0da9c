// One guard process: started with opened files and listening sockets, watched, stopped within a deadline. Follows spec/guard.md section 5.
import type { GuardCounts, GuardFile, GuardReport } from '@edgekeep/core/model/guard-protocol';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import { AgentError } from '../error.ts';
import type { GuardDoors, UnitDoors } from './doors.ts';
import { GuardChannel } from './guard-channel.ts';
import type { SandboxedProgram } from './program.ts';
import { Heartbeat } from './heartbeat.ts';
import { defaultMaxMemoryBytes, type Sandbox, type SandboxPart } from './sandbox.ts';
import { sendFile } from './send-file.ts';
import { channelDescriptor, type GuardEnd, type RunningGuard, spawnGuard } from './spawned.ts';
import { connectGuard, type GuardUnit } from './unit.ts';

/** Reading and loading a model of several gigabytes from memory on a slow board. */
const defaultMaxReadyMs = 120_000;
/** When the stop order arrives, the running inference has this long to end. */
const defaultMaxStopMs = 5_000;
/** A guard that is being replaced has this long for its last requests (guard/src/limits.ts) and to end. */
const defaultMaxRetireMs = 15_000;
/** One inference of a large model on a slow board. */
const defaultMaxInferenceMs = 30_000;
/** The memory that a model may use for each of its own bytes: the file, the runtime's copy of the weights, and intermediate results. */
const memoryPerModelByte = 4;

/** An opened file to pass on; `descriptor` is the agent's. */
export type OpenedFile = Omit<GuardFile, 'descriptor'> & { readonly descriptor: number };

export interface GuardOptions {
  readonly program: SandboxedProgram;
  readonly sandbox: Sandbox;
  readonly model: { readonly name: string; readonly version: string };
  /** The files that `filesForGuard` chose. The guard reads them at offset 0; the agent may wipe and close them after `onFilesRead`. */
  readonly files: readonly OpenedFile[];
  readonly settings?: GuardSettings | undefined;
  /** The unit, if systemd runs the guard; left out: it is a child of the agent, behind `sandbox`. */
  readonly unit?: GuardUnit | undefined;
  /** Where the guard accepts connections; left out: nowhere. */
  readonly doors?: GuardDoors | undefined;
  readonly onFilesRead?: () => void;
  /** Totals since the start, at most every five seconds. */
  readonly onCounts?: (counts: GuardCounts) => void;
  /** The guard ended without a stop order. */
  readonly onEnd?: ((reason: GuardEndReason) => void) | undefined;
  readonly maxReadyMs?: number | undefined;
  readonly maxStopMs?: number;
  readonly maxRetireMs?: number;
  /** A guard whose model takes longer for one inference is killed. */
  readonly maxInferenceMs?: number | undefined;
  /** How much memory the guard may allocate; left out: by the size of its model. */
  readonly maxMemoryBytes?: number | undefined;
}

/** Why the agent killed a guard without a stop order. */
export type GuardFault = 'inference-timeout' | 'protocol-violation';

/** Why a guard that served ended without a stop order. `crashed`: on its own, or killed by the kernel for want of memory. */
export type GuardEndReason = GuardFault | 'crashed';

/** How the process ended. `asked` distinguishes a stop from a crash; `errorText` is the end of what it wrote to stderr. */
export interface GuardExit {
  readonly asked: boolean;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly counts: GuardCounts | undefined;
  readonly errorText: string;
  readonly fault: GuardFault | undefined;
}

/** The newest guard of each unit, by its control socket. */
const inUnits = new Map<string, GuardProcess>();

export class GuardProcess {
  readonly model: { readonly name: string; readonly version: string };
  /** The walls that this machine could not provide. */
  readonly degraded: readonly SandboxPart[];
  /** Settles once, with how the process ended; never rejects. */
  readonly exited: Promise<GuardExit>;
  readonly doors: GuardDoors | UnitDoors | undefined;
  readonly #running: RunningGuard;
  readonly #channel: GuardChannel;
  readonly #options: GuardOptions;
  readonly #ready = Promise.withResolvers<Extract<GuardReport, { kind: 'ready' }>>();
  #pulse: Heartbeat | undefined;
  #counts: GuardCounts | undefined;
  #asked: 'retire' | 'stop' | undefined;
  #fault: GuardFault | undefined;
  #ended = false;
  #hasServed = false;
  #guarded = false;
  #fallback = false;

  /**
   * Resolves when the guard serves.
   * @throws AgentError `guard-failed` (it says why), `guard-ended` (it died), `guard-start` (it could not be run or was too slow)
   */
  static async start(options: GuardOptions): Promise<GuardProcess> {
    const { unit } = options;
    if (unit === undefined) return new GuardProcess(options).#started();
    // A unit runs one guard at a time: the one before, of an older version, ends first.
    await inUnits.get(unit.control)?.stop();
    const guard = new GuardProcess(options);
    inUnits.set(unit.control, guard);
    return guard.#started();
  }

  private constructor(options: GuardOptions) {
    const { program, sandbox, files, doors, unit } = options;
    this.#options = options;
    this.model = options.model;
    this.degraded = sandbox.degraded;
    this.doors = unit?.doors ?? doors;
    const size = files.reduce((sum, file) => sum + file.size, 0);
    const memory = options.maxMemoryBytes ?? defaultMaxMemoryBytes + memoryPerModelByte * size;
    const descriptors = [...(doors?.doors ?? []), ...files].map(({ descriptor }) => descriptor);
    this.#running = unit === undefined ? spawnGuard({ program, sandbox }, descriptors, memory) : connectGuard(unit);
    this.#channel = new GuardChannel(this.#running.stream, {
      onReport: (report) => this.#take(report),
      onViolation: (why) => this.#end('protocol-violation', why),
    });
    this.exited = this.#watch();
  }

  get processId(): number | undefined {
    return this.#running.processId;
  }

  /** Whether answers contain verdicts. */
  get guarded(): boolean {
    return this.#guarded;
  }

  /** Whether there is a fallback model. */
  get fallback(): boolean {
    return this.#fallback;
  }

  /** The newest totals that the guard has reported. */
  get counts(): GuardCounts | undefined {
    return this.#counts;
  }

  /** Whether it accepts connections. */
  get serving(): boolean {
    return this.#asked === undefined && !this.#ended && this.#channel.open;
  }

  /** Ends the guard: it releases the model and zeroes its bytes, and is killed when that takes too long. Can be called again. */
  async stop(): Promise<GuardExit> {
    if (this.#asked !== 'stop' && !this.#ended) {
      this.#asked = 'stop';
      this.#channel.send({ kind: 'stop' });
    }
    return this.#exitWithin(this.#options.maxStopMs ?? defaultMaxStopMs);
  }

  /** Ends the guard after its open connections were answered: no client gets an error because another guard replaces it. */
  async retire(): Promise<GuardExit> {
    if (this.#asked === undefined && !this.#ended) {
      this.#asked = 'retire';
      this.#channel.send({ kind: 'retire' });
    }
    return this.#exitWithin(this.#options.maxRetireMs ?? defaultMaxRetireMs);
  }

  async #exitWithin(milliseconds: number): Promise<GuardExit> {
    const timer = setTimeout(() => this.#running.kill(), milliseconds);
    try {
      return await this.exited;
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #started(): Promise<this> {
    const limit = this.#options.maxReadyMs ?? defaultMaxReadyMs;
    const late = `the guard was not ready within ${limit / 1_000} s (guard.maxReadySeconds)`;
    const timer = setTimeout(() => this.#ready.reject(new AgentError('guard-start', late)), limit);
    this.#configure();
    try {
      const ready = await this.#ready.promise;
      this.#hasServed = true;
      this.#guarded = ready.guarded;
      this.#fallback = ready.fallback;
      this.#pulse = new Heartbeat(
        this.#options.maxInferenceMs ?? defaultMaxInferenceMs,
        () => this.#channel.send({ kind: 'ping' }),
        () => this.#end('inference-timeout', 'no answer from the model within the deadline of one inference'),
      );
      return this;
    } catch (error) {
      this.#running.kill();
      await this.exited;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #configure(): void {
    const { files, model, settings, doors, unit } = this.#options;
    if (unit !== undefined) return void this.#configureUnit();
    let next = channelDescriptor + 1;
    this.#channel.send({
      kind: 'configure',
      model: { name: model.name, version: model.version },
      doors: (doors?.doors ?? []).map(({ kind }) => ({ kind, descriptor: next++ })),
      files: files.map(({ path, role, mediaType, size }) => ({ path, role, mediaType, size, descriptor: next++ })),
      ...(settings === undefined ? {} : { settings }),
    });
    // The guard has its own descriptors by now.
    doors?.handedOver();
  }

  /** The unit shares no descriptor with the agent: the files are sent over its socket. */
  async #configureUnit(): Promise<void> {
    const { files, model, settings, maxInferenceMs = defaultMaxInferenceMs } = this.#options;
    this.#channel.send({
      kind: 'configure',
      model: { name: model.name, version: model.version },
      files: files.map(({ path, role, mediaType, size }) => ({ path, role, mediaType, size })),
      // Twice the deadline of the pings, which notice and report it first.
      maxInferenceMs: 2 * maxInferenceMs,
      ...(settings === undefined ? {} : { settings }),
    });
    try {
      for (const { descriptor, size } of files) await sendFile(this.#channel, descriptor, size);
    } catch (cause) {
      this.#ready.reject(new AgentError('guard-start', 'a file could not be sent to the guard', { cause }));
    }
  }

  async #watch(): Promise<GuardExit> {
    const { startError, ...end }: GuardEnd = await this.#running.ended;
    this.#ended = true;
    this.#pulse?.[Symbol.dispose]();
    this.#channel.close();
    this.#options.doors?.[Symbol.dispose]();
    const cause = startError;
    this.#ready.reject(
      cause === undefined
        ? new AgentError('guard-ended', `the guard ended before it was ready: ${end.errorText.trim()}`)
        : new AgentError('guard-start', `the guard cannot be run: ${cause.message}`, { cause }),
    );
    const asked = this.#asked !== undefined;
    // A guard that does not even start is a failure of its model, and is reported as one.
    if (!asked && this.#fault === undefined && this.#hasServed) this.#options.onEnd?.('crashed');
    return { asked, ...end, counts: this.#counts, fault: this.#fault };
  }

  #take(report: GuardReport): void {
    switch (report.kind) {
      case 'loaded':
        return;
      case 'pong':
        this.#pulse?.answered();
        return;
      case 'files-read':
        this.#options.onFilesRead?.();
        return;
      case 'ready':
        this.#ready.resolve(report);
        return;
      case 'failed':
        this.#ready.reject(new AgentError('guard-failed', `${report.code}: ${report.message}`));
        return;
      case 'counts':
      case 'stopped':
        this.#counts = report.counts;
        this.#options.onCounts?.(report.counts);
        return;
    }
  }

  #end(fault: GuardFault, why: string): void {
    if (this.#fault === undefined) this.#options.onEnd?.(fault);
    this.#fault ??= fault;
    this.#ready.reject(new AgentError('guard-failed', `${fault}: ${why}`));
    this.#running.kill();
  }
}
