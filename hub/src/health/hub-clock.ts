// Watches the hub's time (docs/design/hub-time.md): keeps the latest time in the store, and raises an alert while the machine's clock is
// behind it.
import { Gauge, type Registry } from 'prom-client';
import { weighAlert } from '../alert/alerts.ts';
import type { Job, Subject } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import type { HubTime } from '../store/hub-time.ts';

// A hub that is killed loses at most this much of its latest time.
const keptEveryMs = 10_000;

/** `node` is the name of this one, where there may be others: each has a clock and an alert of its own. */
export function hubClock(database: Pick<Database, 'read' | 'writeAsHub'>, time: HubTime, node = ''): Subject {
  return {
    jobs: [hubClockJob(database, time, node)],
    metrics: (registry) => registerClockMetric(registry, time),
    // A store that cannot be written keeps the time of ten seconds ago.
    [Symbol.asyncDispose]: () => time.keep(database).catch(() => undefined),
  };
}

function hubClockJob(database: Pick<Database, 'read' | 'writeAsHub'>, time: HubTime, node: string): Job {
  let raised: boolean | undefined;
  return {
    name: 'hub-clock',
    summary: "keeps the latest time that the hub has seen, and watches the machine's clock",
    everyMilliseconds: keptEveryMs,
    runsOn: 'every-node',
    run: async () => {
      const problem = time.problem();
      const title = problem ?? time.setBack();
      const about = { kind: 'hub-clock', subject: { part: 'hub-clock' }, detail: node, nowMs: time.now() } as const;
      if ((title !== undefined) !== raised) {
        const severity = problem === undefined ? 'medium' : 'critical';
        const data = { behindSeconds: Math.round(time.behindSeconds()) };
        const state =
          title === undefined
            ? { settled: "the machine's clock is right again" }
            : ({ severity, title: node === '' ? title : `${node}: ${title}`, data } as const);
        await weighAlert(database, about, state);
        raised = title !== undefined;
      }
      await time.keep(database);
    },
  };
}

function registerClockMetric(registry: Registry, time: Pick<HubTime, 'behindSeconds'>): void {
  const gauge = new Gauge({
    name: 'edgekeep_clock_behind_seconds',
    help: "How far the machine's clock is behind the latest time that this hub has seen.",
    registers: [],
    collect() {
      this.set(time.behindSeconds());
    },
  });
  registry.registerMetric(gauge);
}
