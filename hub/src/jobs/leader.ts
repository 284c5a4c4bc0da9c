// Which node does the work that one node must do (docs/design/nodes-state.md): the one that holds the lease in the store. Each node asks for it every
// second, by the store's own clock, so a node that was killed or stopped has lost it within seconds. A lease alone stops nobody: a node that was
// stopped in the middle of a job goes on with it later. So each write of such a job asks in its own transaction whether the term is still its.
import { performance } from 'node:perf_hooks';
import type { Job } from '../common/subject.ts';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import { askForJob, endLease, leaseHolder, takeJobs, takeLease } from '../store/job-lease.ts';
import type { Fence } from '../store/authority.ts';

const tickMs = 1_000;
const LEASE_MS = 5_000;
/** A node stops before others may begin: the answer of the store took time, and clocks run at different speeds. */
const SAFETY_MS = 500;

/** Who does what one node must do. */
export interface Leadership {
  /** Whether this node does. */
  leads(): boolean;
  /** Throws `not-leading` in the transactions of a run that began in this term, once another node leads. */
  fence(): Fence;
  /** Has the node that leads run this job. */
  ask(job: string): Promise<void>;
}

/** Of a store that no other node writes to. */
export const alone: Leadership = {
  leads: () => true,
  fence: () => async () => undefined,
  ask: () => Promise.reject(new TypeError('the only node asks itself')),
};

export class Leader implements Leadership {
  readonly #database: Database;
  readonly #node: string;
  readonly #elapsedMs: () => number;
  #term = 0;
  /** On the machine's monotone clock, which goes on while this process is stopped. */
  #untilMs = -Infinity;
  #onAsked: (job: string) => void = () => undefined;

  /** `node` names this process, not only its machine: one that was started again leads in a new term. */
  constructor(database: Database, node: string, elapsedMs = () => performance.now()) {
    this.#database = database;
    this.#node = node;
    this.#elapsedMs = elapsedMs;
  }

  leads(): boolean {
    return this.#elapsedMs() < this.#untilMs;
  }

  fence(): Fence {
    const [node, term] = [this.#node, this.#term];
    return async (db) => {
      const row = await leaseHolder(db);
      if (row?.node === node && row.term === term) return;
      throw new HubError('not-leading', 'another node leads now: this run ends, and that node does the work');
    };
  }

  async ask(job: string): Promise<void> {
    await this.#database.writeAsHub((trx) => askForJob(trx, job, this.#node));
  }

  /** Hears of the jobs that other nodes asked for. */
  onAsked(run: (job: string) => void): void {
    this.#onAsked = run;
  }

  get jobs(): readonly Job[] {
    return [
      {
        name: 'leader',
        summary: 'asks for the lease of the work that one node does, and runs the jobs that other nodes asked for',
        everyMilliseconds: tickMs,
        runsOn: 'every-node',
        run: () => this.tick(),
      },
    ];
  }

  /** Takes or renews the lease where that may be, and what was asked of the leader. */
  async tick(): Promise<void> {
    const beganMs = this.#elapsedMs();
    const found = await this.#database.writeAsHub(async (trx) => {
      const { clock } = this.#database;
      const term = await takeLease(trx, { node: this.#node, clock, lifeMs: LEASE_MS });
      return term === undefined ? undefined : { term, asked: await takeJobs(trx) };
    });
    if (found === undefined) {
      this.#untilMs = -Infinity;
      return;
    }
    this.#term = found.term;
    this.#untilMs = beganMs + LEASE_MS - SAFETY_MS;
    for (const job of found.asked) this.#onAsked(job);
  }

  /** Gives the lease back, so that another node need not wait for its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#untilMs = -Infinity;
    await this.#database
      .writeAsHub((trx) => endLease(trx, this.#node))
      // It ends after seconds.
      .catch(() => undefined);
  }
}
