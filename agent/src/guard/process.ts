// One guard process: started with opened files, given connections, stopped within a deadline. Follows spec/guard.md section 5.
import { spawn, type ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import {
  guardReportSchema,
  type GuardCounts,
  type GuardFile,
  type GuardOrder,
  type GuardReport,
} from '@edgekeep/core/model/guard-protocol';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import { AgentError } from '../error.ts';
import type { SandboxedProgram } from './program.ts';
import { sandboxCommand, type Sandbox, type SandboxPart } from './sandbox.ts';
import { withRootFolder } from './sandbox-probe.ts';

/** Reading and loading a model of several gigabytes from memory on a slow board. */
export const readyMsMaxDefault = 120_000;
/** The inference that runs when the order to stop comes has this long to end. */
export const stopMsMaxDefault = 5_000;
// The last lines are what explains a crash; more could only be a flood.
const errorTextMax = 4_096;
/** A guard that another one follows has this long for its last requests (guard/src/limits.ts), and then to end. */
export const retireMsMaxDefault = 15_000;
/** stdin, stdout, stderr and the channel come first. */
const firstDescriptor = 4;

/** An opened file to hand over; `descriptor` is the agent's. */
export type OpenedFile = Omit<GuardFile, 'descriptor'> & { readonly descriptor: number };

export interface GuardOptions {
  readonly program: SandboxedProgram;
  readonly sandbox: Sandbox;
  readonly model: { readonly name: string; readonly version: string };
  /** What `filesForGuard` chose. The guard reads them at offset 0; the agent may wipe and close them after `onFilesRead`. */
  readonly files: readonly OpenedFile[];
  readonly settings?: GuardSettings | undefined;
  readonly onFilesRead?: () => void;
  /** Totals since the start, at most every five seconds. */
  readonly onCounts?: (counts: GuardCounts) => void;
  readonly readyMsMax?: number;
  readonly stopMsMax?: number;
  readonly retireMsMax?: number;
}

/** How the process ended. `asked` tells a stop from a crash; `errorText` is the end of what it wrote to stderr. */
export interface GuardExit {
  readonly asked: boolean;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly counts: GuardCounts | undefined;
  readonly errorText: string;
}

export class GuardProcess {
  readonly model: { readonly name: string; readonly version: string };
  /** Walls this machine could not give. */
  readonly degraded: readonly SandboxPart[];
  /** Settles once, with how the process ended; never rejects. */
  readonly exited: Promise<GuardExit>;
  readonly #child: ChildProcess;
  readonly #options: GuardOptions;
  readonly #ready = Promise.withResolvers<Extract<GuardReport, { kind: 'ready' }>>();
  #counts: GuardCounts | undefined;
  #asked: 'retire' | 'stop' | undefined;
  #ended = false;
  #errorText = '';
  #guarded = false;
  #fallback = false;

  /**
   * Resolves when the guard serves.
   * @throws AgentError `guard-failed` (it says why), `guard-ended` (it died), `guard-start` (it could not be run or was too slow)
   */
  static async start(options: GuardOptions): Promise<GuardProcess> {
    const started = Promise.withResolvers<GuardProcess>();
    // The folder stays as long as the process, whose file system is mounted on it.
    void withRootFolder(async (folder) => {
      const guard = new GuardProcess(options, folder);
      started.resolve(guard.#started());
      await guard.exited;
    }).catch(started.reject);
    return started.promise;
  }

  private constructor(options: GuardOptions, rootFolder: string) {
    this.#options = options;
    this.model = options.model;
    this.degraded = options.sandbox.degraded;
    const { command, args, environment } = sandboxCommand(options.sandbox, options.program, rootFolder);
    this.#child = spawn(command, args, {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc', ...options.files.map((file) => file.descriptor)],
      env: { ...environment },
      cwd: '/',
    });
    this.exited = this.#watch();
  }

  get processId(): number | undefined {
    return this.#child.pid;
  }

  /** Whether answers carry verdicts. */
  get guarded(): boolean {
    return this.#guarded;
  }

  /** Whether there is a fallback model. */
  get fallback(): boolean {
    return this.#fallback;
  }

  /** The newest totals the guard has reported. */
  get counts(): GuardCounts | undefined {
    return this.#counts;
  }

  /** Hands a connection over, unread: accept it with `pauseOnConnect`. False when the guard does not take any more. */
  accept(socket: Socket): boolean {
    if (this.#asked !== undefined || this.#ended || !this.#child.connected) return false;
    this.#send({ kind: 'connection' }, socket);
    return true;
  }

  /** Ends the guard: it releases the model and zeroes its bytes, and is killed when that takes too long. Can be called again. */
  async stop(): Promise<GuardExit> {
    if (this.#asked !== 'stop' && !this.#ended) {
      this.#asked = 'stop';
      this.#send({ kind: 'stop' });
    }
    return this.#exitWithin(this.#options.stopMsMax ?? stopMsMaxDefault);
  }

  /** Ends the guard when the connections it has were answered: nobody who asked it gets an error because another guard follows. */
  async retire(): Promise<GuardExit> {
    if (this.#asked === undefined && !this.#ended) {
      this.#asked = 'retire';
      this.#send({ kind: 'retire' });
    }
    return this.#exitWithin(this.#options.retireMsMax ?? retireMsMaxDefault);
  }

  async #exitWithin(milliseconds: number): Promise<GuardExit> {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), milliseconds);
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
    const limit = this.#options.readyMsMax ?? readyMsMaxDefault;
    const timer = setTimeout(
      () => this.#ready.reject(new AgentError('guard-start', `the guard was not ready within ${limit} ms`)),
      limit,
    );
    const { files, model, settings } = this.#options;
    this.#send({
      kind: 'configure',
      model: { name: model.name, version: model.version },
      files: files.map(({ path, role, mediaType, size }, index) => {
        return { path, role, mediaType, size, descriptor: firstDescriptor + index };
      }),
      ...(settings === undefined ? {} : { settings }),
    });
    try {
      const ready = await this.#ready.promise;
      this.#guarded = ready.guarded;
      this.#fallback = ready.fallback;
      return this;
    } catch (error) {
      this.#child.kill('SIGKILL');
      await this.exited;
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  async #watch(): Promise<GuardExit> {
    const child = this.#child;
    child.on('message', (value) => this.#take(value));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errorText = (this.#errorText + text).slice(-errorTextMax);
    });
    const ended = Promise.withResolvers<{ exitCode: number | null; signal: NodeJS.Signals | null }>();
    child.on('error', (cause) => {
      this.#ready.reject(new AgentError('guard-start', `the guard cannot be run: ${cause.message}`, { cause }));
      // A process that never was has no exit of its own.
      if (child.pid === undefined) ended.resolve({ exitCode: null, signal: null });
    });
    child.on('close', (exitCode, signal) => ended.resolve({ exitCode, signal }));
    const exit = await ended.promise;
    this.#ended = true;
    this.#ready.reject(new AgentError('guard-ended', `the guard ended before it was ready: ${this.#errorText.trim()}`));
    return { asked: this.#asked !== undefined, ...exit, counts: this.#counts, errorText: this.#errorText };
  }

  /** The guard faces hostile input: what it says is parsed like anybody's, and one wrong word ends it. */
  #take(value: unknown): void {
    const parsed = guardReportSchema.safeParse(value);
    if (!parsed.success) {
      this.#ready.reject(new AgentError('guard-failed', 'the guard sent a message that is not in the protocol'));
      this.#child.kill('SIGKILL');
      return;
    }
    const report = parsed.data;
    switch (report.kind) {
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

  #send(order: GuardOrder, socket?: Socket): void {
    if (!this.#child.connected) {
      socket?.destroy();
      return;
    }
    // A channel that breaks now is a guard that ended: `exited` tells.
    this.#child.send(order, socket, {}, (error) => {
      if (error !== null) socket?.destroy();
    });
  }
}
