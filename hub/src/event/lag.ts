// How far consumers of the audit log are behind it: for metrics, lists, and an alert.
import { Gauge, type Registry } from 'prom-client';
import type { Kysely } from 'kysely';
import { weighAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import { entryCount } from '../store/entries.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { EventCursorRow } from '../store/tables/event.ts';
import { listCursors } from './cursors.ts';
import { coveredSize, timeOf } from './events.ts';

export interface CursorLag {
  readonly cursor: EventCursorRow;
  /** Entries that the consumer has not handled. */
  readonly entries: number;
  /** The age of the oldest of them. */
  readonly seconds: number;
  /** It names an entry that the log does not have yet, and would skip what happens next: no hub writes that. */
  readonly isBeyond: boolean;
}

/** Of each cursor, by name. */
export async function lags(db: Kysely<Tables>, nowMs: number): Promise<readonly CursorLag[]> {
  return lagsOf(db, await listCursors(db), nowMs);
}

export async function lagOf(db: Kysely<Tables>, cursor: EventCursorRow, nowMs: number): Promise<CursorLag> {
  const [lag] = await lagsOf(db, [cursor], nowMs);
  if (lag === undefined) throw new TypeError('one cursor has one lag');
  return lag;
}

async function lagsOf(db: Kysely<Tables>, cursors: readonly EventCursorRow[], nowMs: number) {
  const [covered, all] = [await coveredSize(db), await entryCount(db)];
  return Promise.all(cursors.map((cursor) => lagIn(db, cursor, { covered, all, nowMs })));
}

async function lagIn(
  db: Kysely<Tables>,
  cursor: EventCursorRow,
  { covered, all, nowMs }: { readonly covered: number; readonly all: number; readonly nowMs: number },
): Promise<CursorLag> {
  const entries = Math.max(0, covered - cursor.position);
  const madeAt = entries === 0 ? undefined : await timeOf(db, cursor.position);
  const seconds = madeAt === undefined ? 0 : Math.max(0, Math.floor((nowMs - madeAt) / 1_000));
  return { cursor, entries, seconds, isBeyond: cursor.position > all };
}

/** `isUsed`: cursors of consumers that are gone are in lists only. */
export interface LagDependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly maxLagSeconds: number;
  readonly isUsed: (name: string) => boolean;
}

const weighedEveryMs = 10_000;

export function lagJob(dependencies: LagDependencies): Job {
  return {
    name: 'event-lag',
    summary: 'raises and settles the alert about consumers of the log that are behind',
    everyMilliseconds: weighedEveryMs,
    runsOn: 'one-node',
    run: () => weighLags(dependencies),
  };
}

async function weighLags({ database, clock, maxLagSeconds, isUsed }: LagDependencies): Promise<void> {
  const nowMs = clock();
  for (const { cursor, entries, seconds, isBeyond } of await lags(database.read, nowMs)) {
    const about = { kind: 'consumer-behind', subject: { part: `cursor:${cursor.name}` }, nowMs } as const;
    if (isUsed(cursor.name) && isBeyond) {
      const beyond = `${cursor.name} waits for entry ${cursor.position}, which the log does not have yet: what happens until then would be kept from it (\`edgekeep event reset-cursor\`)`;
      await weighAlert(database, about, { severity: 'high', title: beyond, data: { cursor: cursor.name } });
      continue;
    }
    if (!isUsed(cursor.name) || seconds <= maxLagSeconds) {
      await weighAlert(database, about, { settled: 'the consumer is not behind any more' });
      continue;
    }
    const why = cursor.problem === null ? '' : `: ${cursor.problem}`;
    const title = `${cursor.name} has not handled what happened for more than ${maxLagSeconds} s${why}`;
    const data = { cursor: cursor.name, entries, failures: cursor.failures };
    await weighAlert(database, about, { severity: 'high', title, data });
  }
}

/** Registers what monitoring sees of the cursors. */
export function registerLagMetrics(registry: Registry, { database, clock, isUsed }: LagDependencies): void {
  const gauge = (name: string, help: string, value: (lag: CursorLag) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['cursor'],
      registers: [registry],
      async collect() {
        this.reset();
        for (const lag of await lags(database.read, clock()))
          if (isUsed(lag.cursor.name)) this.set({ cursor: lag.cursor.name }, value(lag));
      },
    });
  gauge(
    'edgekeep_event_lag_entries',
    'Entries of the audit log that a consumer has not handled, by cursor.',
    ({ entries }) => entries,
  );
  gauge(
    'edgekeep_event_lag_seconds',
    'Age of the oldest entry of the audit log that a consumer has not handled, by cursor.',
    ({ seconds }) => seconds,
  );
  gauge(
    'edgekeep_event_failures_in_a_row',
    'Batches that a consumer of the audit log failed to handle since its last success, by cursor.',
    ({ cursor }) => cursor.failures,
  );
}
