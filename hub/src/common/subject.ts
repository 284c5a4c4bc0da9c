// What a subject gives the wiring besides its functions: its jobs, its metrics, and what must happen when another node changed the store or when
// the hub ends.
import type { Registry } from 'prom-client';

/** `every-node`: on each hub of a store. `one-node`: only on the hub that leads. */
export type JobNode = 'every-node' | 'one-node';

export interface Job {
  /** Unique, kebab-case; the label in metrics. */
  readonly name: string;
  /** One sentence: what it does. */
  readonly summary: string;
  /** From the start of one run to the start of the next. Without one the job runs on request only. */
  readonly everyMilliseconds?: number;
  readonly runsOn: JobNode;
  /** One run. Rejects when it could not do its work; the next run tries again. `signal` aborts when the hub ends. */
  run(signal: AbortSignal): Promise<unknown>;
}

/** What a job's owner may ask of the scheduler. */
export interface JobHandle {
  /** Runs at once, or once more after the run under way. Failures are counted and reported, as those of timed runs are. */
  soon(): void;
  /**
   * As `soon`; resolves when that run has ended, and rejects when it failed. A job that the leading node must run resolves on another node when the
   * leading one can learn of it.
   */
  now(): Promise<void>;
}

/** Adds a job to the scheduler. */
export type AddJob = (job: Job) => JobHandle;

export interface Subject {
  readonly jobs?: readonly Job[];
  /** Registers what monitoring sees of it. */
  readonly metrics?: (registry: Registry) => void;
  /** Reads again what another node may have changed: with each new version of the revocations, before requests are served again. */
  readonly reload?: () => Promise<void>;
  /** Tables of which it keeps something, and how it reads them again soon after another node changed one. */
  readonly follows?: { readonly tables: readonly string[]; readonly read: () => Promise<unknown> };
  /** Looks for what another node changed in tables that the log does not vouch for; called several times a second where there are other nodes. */
  readonly polls?: () => Promise<unknown>;
  [Symbol.asyncDispose]?(): Promise<void>;
}
