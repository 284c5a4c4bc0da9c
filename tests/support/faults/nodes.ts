// The nodes of a hub as processes that a test kills, stops and starts again, and the clients' way to one that runs. A node that ends or does not start is
// started again, as by a service manager.
import { setTimeout } from 'node:timers/promises';
import { HubProcess, type ProcessOptions } from '../hub-process.ts';
import { Steps } from '../steps.ts';

export interface NodePlace {
  readonly folder: string;
  readonly operatorFile: string;
  readonly rootPem: string;
}

const SAID_MAX = 400;
const RESTART_PAUSE_MS = 250;
/** With a pause between them: longer than a database needs to come back. */
const FAILED_STARTS_MAX = 400;

export class HubNode {
  readonly name: string;
  readonly folder: string;
  /** How its next process is started. */
  options: ProcessOptions = {};
  /** What it said each time when it ended without an order. */
  readonly endings: string[] = [];
  /** What it said each time when it did not start. */
  readonly failedStarts: string[] = [];
  readonly #place: NodePlace;
  readonly #onStart: () => void;
  readonly #onFailure: (error: unknown) => void;
  #process: HubProcess | undefined;
  #wanted = false;

  constructor(name: string, place: NodePlace, onStart: () => void, onFailure: (error: unknown) => void) {
    this.name = name;
    this.folder = place.folder;
    this.#place = place;
    this.#onStart = onStart;
    this.#onFailure = onFailure;
  }

  get process(): HubProcess | undefined {
    return this.#process;
  }

  /** Resolves once it is ready. */
  async start(): Promise<void> {
    this.#wanted = true;
    const { folder, operatorFile, rootPem } = this.#place;
    for (;;) {
      try {
        await using starting = new AsyncDisposableStack();
        const process = starting.use(await HubProcess.start(folder, operatorFile, rootPem, this.options));
        starting.move();
        this.#has(process);
        return;
      } catch (error) {
        this.failedStarts.push(shortened(error instanceof Error ? error.message : String(error)));
        if (this.failedStarts.length > FAILED_STARTS_MAX) throw error;
        if (!this.#wanted) return;
        await setTimeout(RESTART_PAUSE_MS);
      }
    }
  }

  #has(process: HubProcess): void {
    this.#process = process;
    this.#keepUp(process).catch(this.#onFailure);
    this.#onStart();
  }

  async #keepUp(process: HubProcess): Promise<void> {
    await process.ended;
    if (this.#process !== process) return;
    this.#process = undefined;
    this.endings.push(shortened(process.complaint));
    await this.start();
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#release()?.kill();
  }

  /** An orderly stop; returns the exit code. */
  async stop(): Promise<number | null | undefined> {
    return this.#release()?.stop();
  }

  /** SIGSTOP or SIGCONT. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.#process !== undefined) globalThis.process.kill(this.#process.processId, name);
  }

  #release(): HubProcess | undefined {
    const process = this.#process;
    this.#process = undefined;
    this.#wanted = false;
    return process;
  }
}

/** The last words, on one line. */
function shortened(text: string): string {
  return text.replaceAll(/\s+/g, ' ').slice(-SAID_MAX);
}

export class Nodes implements AsyncDisposable {
  readonly all: readonly HubNode[];
  /** Rejects where a node does not come back. */
  readonly lost: Promise<never>;
  readonly #starts = new Steps();
  #turn = 0;

  constructor(places: readonly NodePlace[]) {
    const { promise, reject } = Promise.withResolvers<never>();
    promise.catch(() => undefined);
    this.lost = promise;
    this.all = places.map((place, at) => new HubNode(`node ${at + 1}`, place, this.#starts.take, reject));
  }

  /** A node that runs, another one each time; waits for one. Undefined where the clients are over. */
  async any(over: AbortSignal): Promise<HubProcess | undefined> {
    const ended = new Promise<void>((resolve) => over.addEventListener('abort', () => resolve(), { once: true }));
    for (;;) {
      if (over.aborted) return undefined;
      const next = this.#starts.more(1);
      this.#turn += 1;
      for (let at = 0; at < this.all.length; at += 1) {
        const process = this.all[(this.#turn + at) % this.all.length]?.process;
        if (process !== undefined) return process;
      }
      await Promise.race([next, ended]);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of this.all) await node.kill();
  }
}
