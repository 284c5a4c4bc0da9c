// Opens the cursors over the audit log (spec/events.md): each consumer that is added becomes a job.
import type { Registry } from 'prom-client';
import type { Clock } from '../common/clock.ts';
import type { AddJob, Subject } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import { type Consumer, consumerJob } from './consumer.ts';
import { type CursorLag, lagJob, lags, registerLagMetrics } from './lag.ts';

interface EventSettings {
  readonly pollMilliseconds: number;
  readonly maxLagSeconds: number;
}

export interface Events extends Subject {
  /** From now on it gets what happens; two consumers of one name are a fault of the program. */
  add(consumer: Consumer): void;
  /** Each cursor, also of consumers that are gone. */
  list(): Promise<readonly CursorLag[]>;
  /** Whether a consumer of this hub has it. */
  isUsed(name: string): boolean;
}

export function openEvents(
  database: Database,
  { pollMilliseconds, maxLagSeconds }: EventSettings,
  clock: Clock,
  addJob: AddJob,
): Events {
  const used = new Set<string>();
  const isUsed = (name: string) => used.has(name);
  const dependencies = { database, clock, maxLagSeconds, isUsed };
  return {
    jobs: [lagJob(dependencies)],
    metrics: (registry: Registry) => registerLagMetrics(registry, dependencies),
    add(consumer) {
      used.add(consumer.name);
      addJob(consumerJob(consumer, { database, clock, pollMilliseconds }));
    },
    list: () => lags(database.read, clock()),
    isUsed,
  };
}
