// Runs the hub's recurring work (docs/jobs.md): each job has a name, an interval and the nodes it runs on. A job never overlaps itself; a request
// that comes while it runs makes it run once more.
import type { Clock } from '../common/clock.ts';
import { asHub } from '../store/authority.ts';
import type { Job, JobHandle, JobNode } from '../common/subject.ts';
import { alone, type Leadership } from './leader.ts';

export interface JobStatus {
  readonly name: string;
  readonly summary: string;
  readonly everyMilliseconds: number | undefined;
  readonly runsOn: JobNode;
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

/** After each run; `error` when it failed. */
export type RunEnded = (job: JobStatus, seconds: number, error: Error | undefined) => void;

interface Entry {
  readonly job: Job;
  timer: NodeJS.Timeout | undefined;
  running: Promise<void> | undefined;
  /** Resolvers of the callers that asked while a run was under way. */
  next: PromiseWithResolvers<void> | undefined;
  status: JobStatus;
}

export interface SchedulerDependencies {
  readonly clock: Clock;
  readonly leadership?: Leadership;
}

export class Scheduler implements AsyncDisposable {
  readonly #clock: Clock;
  #leadership: Leadership;
  readonly #watchers: RunEnded[] = [];
  readonly #entries = new Map<string, Entry>();
  readonly #stop = new AbortController();
  #started = false;

  constructor({ clock, leadership = alone }: SchedulerDependencies) {
    this.#clock = clock;
    this.#leadership = leadership;
  }

  /** From now on this decides which node does the work that one node must do. */
  leadBy(leadership: Leadership): void {
    this.#leadership = leadership;
  }

  /** Whether this node does that work. */
  get leads(): boolean {
    return this.#leadership.leads();
  }

  /** Runs a job of this name, which another node asked for. */
  readonly runSoon = (name: string): void => {
    const entry = this.#entries.get(name);
    // The failure is in the job's status and was reported. A node of another version may have jobs that this one has not.
    if (entry !== undefined) void this.#request(entry).catch(() => undefined);
  };

  /** Starts the intervals of every job. Until then jobs run on request only. */
  start(): void {
    this.#started = true;
    for (const entry of this.#entries.values()) this.#arm(entry);
  }

  /** Adds a job; its first run is one interval after the start. Two jobs of one name are a fault of the program. */
  readonly add = (job: Job): JobHandle => {
    if (this.#entries.has(job.name)) throw new TypeError(`two jobs are named ${job.name}`);
    const { name, summary, everyMilliseconds, runsOn } = job;
    const status = {
      name,
      summary,
      everyMilliseconds,
      runsOn,
      running: false,
      runs: 0,
      failures: 0,
      failuresInARow: 0,
    };
    const entry: Entry = {
      job,
      timer: undefined,
      running: undefined,
      next: undefined,
      status: { ...status, lastStartedAt: undefined, lastSucceededAt: undefined, lastError: undefined },
    };
    this.#entries.set(name, entry);
    if (this.#started) this.#arm(entry);
    return {
      // The failure is in the job's status and was reported.
      soon: () => void this.#ask(entry).catch(() => undefined),
      now: () => this.#ask(entry),
    };
  };

  /** Calls `ended` after each run from now on; it must not throw. */
  watch(ended: RunEnded): void {
    this.#watchers.push(ended);
  }

  /** Every job, in the order of their addition. */
  list(): readonly JobStatus[] {
    return [...this.#entries.values()].map(({ status, running }) => ({ ...status, running: running !== undefined }));
  }

  /** Starts no further run and waits for those under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const { timer } of this.#entries.values()) clearInterval(timer);
    await Promise.allSettled([...this.#entries.values()].map(async ({ running }) => running));
  }

  #arm(entry: Entry): void {
    const { everyMilliseconds } = entry.job;
    if (everyMilliseconds === undefined) return;
    entry.timer ??= setInterval(() => this.#timed(entry), everyMilliseconds).unref();
  }

  #timed(entry: Entry): void {
    // A run that takes longer than the interval is not followed by a second one at once.
    if (entry.running !== undefined || !this.#isOurs(entry)) return;
    // The failure is in the job's status and was reported.
    void this.#request(entry).catch(() => undefined);
  }

  #isOurs({ job }: Entry): boolean {
    return job.runsOn === 'every-node' || this.#leadership.leads();
  }

  /** Here, or by the node that leads: then it resolves when that node can learn of it. */
  #ask(entry: Entry): Promise<void> {
    return this.#isOurs(entry) ? this.#request(entry) : this.#leadership.ask(entry.job.name);
  }

  #request(entry: Entry): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.resolve();
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
      // A run that somebody's request asked for acts for the hub, not for the request.
      const fence = entry.job.runsOn === 'one-node' ? this.#leadership.fence() : alone.fence();
      await asHub(() => entry.job.run(this.#stop.signal), fence);
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
      const seconds = (performance.now() - startedMs) / 1_000;
      for (const watcher of this.#watchers) watcher(entry.status, seconds, failure);
    }
  }
}
