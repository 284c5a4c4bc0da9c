// Holds the subjects of a running hub together: runs their jobs, gathers their metrics, and ends them in the reverse order of their opening.
import { Registry } from 'prom-client';
import type { Clock } from '../common/clock.ts';
import { registerJobMetrics } from '../jobs/metric.ts';
import { Scheduler } from '../jobs/scheduler.ts';
import type { Subject } from '../common/subject.ts';

export class Assembly implements AsyncDisposable {
  readonly scheduler: Scheduler;
  /** A registry of this hub's own: several hubs can live in one process. */
  readonly registry = new Registry();
  readonly #opened = new AsyncDisposableStack();
  readonly #subjects: Subject[] = [];

  constructor(clock: Clock) {
    this.scheduler = new Scheduler({ clock });
    const { scheduler } = this;
    const watched = { list: () => scheduler.list(), leads: () => scheduler.leads };
    scheduler.watch(registerJobMetrics(this.registry, watched));
  }

  /** Takes over a subject that was opened. */
  use<T extends Subject>(subject: T): T {
    subject.metrics?.(this.registry);
    this.#subjects.push(subject);
    for (const job of subject.jobs ?? []) this.scheduler.add(job);
    this.#opened.defer(async () => subject[Symbol.asyncDispose]?.());
    return subject;
  }

  /** Has every subject read again what another node may have changed. */
  readonly reload = async (): Promise<void> => {
    for (const subject of this.#subjects) await subject.reload?.();
  };

  /** Has those subjects read again that keep something of these tables, and each look for what no table of the list tells. */
  readonly follow = async (changed: ReadonlySet<string>): Promise<void> => {
    for (const { follows, polls } of this.#subjects) {
      if (follows?.tables.some((table) => changed.has(table)) === true) await follows.read();
      await polls?.();
    }
  };

  /** Jobs end before the subjects that they work on. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.scheduler[Symbol.asyncDispose]();
    await this.#opened.disposeAsync();
  }
}
