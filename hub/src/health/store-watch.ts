// Watches whether the store takes commits. While it does not, no alert can be written: the metric says so, and the alert is raised when it does again.
import { Gauge, type Registry } from 'prom-client';
import { messageOf } from '@edgekeep/core/message-of';
import { weighAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import type { Subject } from '../common/subject.ts';
import { writeUnchanged } from '../revocation/store.ts';
import type { Database } from '../store/database.ts';

const EVERY_MS = 10_000;
// The alert closes after as long without another failure.
const CALM_MS = 3_600_000;

/** `node` is the name of this one, where there may be others. */
export function storeWatch(database: Pick<Database, 'read' | 'writeAsHub'>, clock: Clock, node = ''): Subject {
  let failing: { readonly sinceMs: number; readonly error: string } | undefined;
  /** Of the last failure that an alert was raised about, or of the start: a process before may have left one open. */
  let calmSinceMs: number | undefined = clock();
  const about = { kind: 'store-unavailable', subject: { part: 'store' }, detail: node } as const;
  const run = async (): Promise<void> => {
    const nowMs = clock();
    try {
      await database.writeAsHub(writeUnchanged);
    } catch (error) {
      failing ??= { sinceMs: nowMs, error: messageOf(error) };
      throw error;
    }
    if (failing !== undefined) {
      const { sinceMs, error } = failing;
      const seconds = Math.round((nowMs - sinceMs) / 1_000);
      const title = `${node === '' ? '' : `${node}: `}the store took no commits for ${seconds} s: ${error}`;
      await weighAlert(database, { ...about, nowMs }, { severity: 'high', title, data: { seconds, error } });
      failing = undefined;
      calmSinceMs = nowMs;
    }
    if (calmSinceMs === undefined || nowMs - calmSinceMs < CALM_MS) return;
    await weighAlert(database, { ...about, nowMs }, { settled: 'the store has taken commits for an hour' });
    calmSinceMs = undefined;
  };
  const summary = 'commits to the store, and raises an alert when it takes commits again after a failure';
  return {
    jobs: [{ name: 'store-watch', summary, everyMilliseconds: EVERY_MS, runsOn: 'every-node', run }],
    metrics: (registry) =>
      registerMetric(registry, () => (failing === undefined ? 0 : (clock() - failing.sinceMs) / 1_000)),
  };
}

function registerMetric(registry: Registry, seconds: () => number): void {
  const gauge = new Gauge({
    name: 'edgekeep_store_unavailable_seconds',
    help: 'Since when the store takes no commits of this hub; 0 while it does.',
    registers: [],
    collect() {
      this.set(seconds());
    },
  });
  registry.registerMetric(gauge);
}
