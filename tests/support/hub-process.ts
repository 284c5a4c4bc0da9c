// A hub in a separate process, on a folder that was initialised before: it can be killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import type { Operator } from '@edgekeep/cli/operator';
import { z } from 'zod';
import type { DeviceListener } from './device-link.ts';
import { endChild } from './child.ts';
import { operatorAt } from './hub-world.ts';

const address = z.object({ host: z.string(), port: z.number() });
const readyLine = z.object({ ready: z.literal(true), device: address, operator: address });
const main = createRequire(import.meta.url).resolve('@edgekeep/hub/main');

export interface ProcessOptions {
  /** Words before `node`: a program that runs it. */
  readonly prefix?: readonly string[];
  /** Modules that it loads first. */
  readonly imports?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export class HubProcess implements DeviceListener, AsyncDisposable {
  readonly deviceAddress: DeviceListener['deviceAddress'];
  readonly rootPem: string;
  readonly operator: Operator;
  readonly #child: ChildProcess;
  readonly #complaint: () => string;

  private constructor(
    child: ChildProcess,
    deviceAddress: DeviceListener['deviceAddress'],
    rootPem: string,
    operator: Operator,
    complaint: () => string,
  ) {
    this.#child = child;
    this.deviceAddress = deviceAddress;
    this.rootPem = rootPem;
    this.operator = operator;
    this.#complaint = complaint;
  }

  /** The end of what it wrote to its error output. */
  get complaint(): string {
    return this.#complaint();
  }

  /** Starts `hub run` and resolves once it reports that it is ready; rejects with its output otherwise. */
  static async start(
    folder: string,
    operatorFile: string,
    rootPem: string,
    { prefix = [], imports = [], environment = {} }: ProcessOptions = {},
  ): Promise<HubProcess> {
    const loaded = imports.flatMap((each) => ['--import', each]);
    const [program, ...words] = [...prefix, process.execPath, ...loaded, main, 'run', '--data', folder, '--json'];
    const child = spawn(program, words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString('utf8')).slice(-4_000);
    });
    // The process does not outlive a failed start.
    await using started = new AsyncDisposableStack();
    started.defer(() => endChild(child, 'SIGKILL'));
    const lines = createInterface({ input: child.stdout });
    const first = await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => undefined)]);
    if (first === undefined) throw new Error(`the hub ended at its start: ${complaint.trim()}`);
    const ready = readyLine.safeParse(JSON.parse(String(first[0])));
    if (!ready.success) throw new Error(`the hub did not start: ${String(first[0])} ${complaint.trim()}`);
    const { device, operator } = ready.data;
    const hub = new HubProcess(child, device, rootPem, await operatorAt(operatorFile, operator), () => complaint);
    started.move();
    return hub;
  }

  /** Resolves once the process is gone, by an order or without one. */
  get ended(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve();
    return once(this.#child, 'exit').then(() => undefined);
  }

  get processId(): number {
    return this.#child.pid ?? 0;
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await endChild(this.#child, 'SIGKILL');
  }

  /** An orderly stop; returns the exit code. */
  async stop(): Promise<number | null> {
    await endChild(this.#child, 'SIGTERM');
    return this.#child.exitCode;
  }

  /** Kills it if it still runs: a failed test does not wait for an orderly stop. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}
