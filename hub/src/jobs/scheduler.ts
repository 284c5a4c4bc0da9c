// Runs the hub's recurring work (spec/jobs.md): each job has a name, an interval and a place to run. A job never overlaps itself; a request
// that comes while it runs makes it run once more.
import type { Clock } from '../clock.ts';

/** `every-node`: on each hub of a store. `one-node`: only on the hub that leads. */
export type JobPlace = 'every-node' | 'one-node';

export interface Job {
  /** Unique, kebab-case; the label in metrics. */
  readonly name: string;
  /** One sentence: what it does. */
  readonly summary: string;
  /** From the start of one run to the start of the next. Without one the job runs on request only. */
  readonly everyMilliseconds?: number;
  readonly place: JobPlace;
  /** One run. Rejects when it could not do its work; the next run tries again. */
  run(): Promise<unknown>;
}

export interface JobStatus {
  readonly name: string;
  readonly summary: string;
  readonly everyMilliseconds: number | undefined;
  readonly place: JobPlace;
  readonly running: boolean;
  readonly runs: number;
  readonly failures: number;
  /** Runs in a row that failed, up to now. */
  readonly failuresInARow: number;
  /** Milliseconds since 1970, by the hub's clock. */
  readonly lastStartedAt: number | undefined;
  readonly lastSucceededAt: number | undefined;
  readonly lastError: string | undefined;
}

/** What a job's owner may ask of the scheduler. */
export interface JobHandle {
  /** Runs at once, or once more after the run under way. Failures are counted and reported, as those of timed runs are. */
  soon(): void;
  /** As `soon`; resolves when that run has ended, and rejects when it failed. */
  now(): Promise<void>;
}

export interface SchedulerEvents {
  /** After each run; `error` when it failed. */
  readonly ended?: (job: Job, seconds: number, error: Error | undefined) => void;
}

interface Entry {
  readonly job: Job;
  timer: NodeJS.Timeout | undefined;
  running: Promise<void> | undefined;
  /** Resolvers of those who asked while a run was under way. */
  next: PromiseWithResolvers<void> | undefined;
  status: JobStatus;
}

export interface SchedulerDependencies {
  readonly clock: Clock;
  /** Whether this node does the work that one node must do. */
  readonly leads?: () => boolean;
  readonly events?: SchedulerEvents;
}

export class Scheduler implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #leads: () => boolean;
  readonly #events: SchedulerEvents;
  readonly #entries = new Map<string, Entry>();
  #stopped = false;

  constructor({ clock, leads = () => true, events = {} }: SchedulerDependencies) {
    this.#clock = clock;
    this.#leads = leads;
    this.#events = events;
  }

  /** Adds a job; its first run is one interval away. Two jobs of one name are a fault of the program. */
  add(job: Job): JobHandle {
    if (this.#entries.has(job.name)) throw new TypeError(`two jobs are named ${job.name}`);
    const { name, summary, everyMilliseconds, place } = job;
    const status = { name, summary, everyMilliseconds, place, running: false, runs: 0, failures: 0, failuresInARow: 0 };
    const entry: Entry = {
      job,
      timer: undefined,
      running: undefined,
      next: undefined,
      status: { ...status, lastStartedAt: undefined, lastSucceededAt: undefined, lastError: undefined },
    };
    this.#entries.set(name, entry);
    if (everyMilliseconds !== undefined) {
      entry.timer = setInterval(() => this.#timed(entry), everyMilliseconds).unref();
    }
    return {
      // The failure is in the job's status and was reported.
      soon: () => void this.#request(entry).catch(() => undefined),
      now: () => this.#request(entry),
    };
  }

  /** Every job, in the order of their addition. */
  list(): readonly JobStatus[] {
    return [...this.#entries.values()].map(({ status, running }) => ({ ...status, running: running !== undefined }));
  }

  /** Starts no further run and waits for those under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    for (const { timer } of this.#entries.values()) clearInterval(timer);
    await Promise.allSettled([...this.#entries.values()].map(async ({ running }) => running));
  }

  #timed(entry: Entry): void {
    // A run that takes longer than the interval is not followed by a second one at once.
    if (entry.running !== undefined || (entry.job.place === 'one-node' && !this.#leads())) return;
    void this.#request(entry).catch(() => undefined);
  }

  #request(entry: Entry): Promise<void> {
    if (this.#stopped) return Promise.resolve();
    if (entry.running === undefined) return this.#start(entry);
    entry.next ??= Promise.withResolvers<void>();
    return entry.next.promise;
  }

  #start(entry: Entry): Promise<void> {
    const running = this.#run(entry);
    entry.running = running;
    const ended = (): void => {
      entry.running = undefined;
      const { next } = entry;
      entry.next = undefined;
      if (next !== undefined) this.#request(entry).then(next.resolve, next.reject);
    };
    running.then(ended, ended);
    return running;
  }

  async #run(entry: Entry): Promise<void> {
    const startedAt = this.#clock();
    const startedMs = performance.now();
    entry.status = { ...entry.status, runs: entry.status.runs + 1, lastStartedAt: startedAt };
    let failure: Error | undefined;
    try {
      await entry.job.run();
      entry.status = { ...entry.status, failuresInARow: 0, lastSucceededAt: this.#clock(), lastError: undefined };
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
      const { failures, failuresInARow } = entry.status;
      entry.status = {
        ...entry.status,
        failures: failures + 1,
        failuresInARow: failuresInARow + 1,
        lastError: failure.message,
      };
      throw error;
    } finally {
      this.#events.ended?.(entry.job, (performance.now() - startedMs) / 1_000, failure);
    }
  }
}
