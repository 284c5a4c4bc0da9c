// Recurring work that keeps failing is an alert, and a line in the hub's own log when it begins to fail and when it works again.
import { weighAlert } from '../alert/alerts.ts';
import { Serial } from '@edgekeep/host/serial';
import type { Clock } from '../common/clock.ts';
import type { Database } from '../store/database.ts';
import type { JobStatus, RunEnded } from './scheduler.ts';

export interface AlarmDependencies {
  readonly database: Pick<Database, 'read' | 'writeAsHub'>;
  readonly clock: Clock;
  /** Failures in a row for an alert. */
  readonly maxFailures: number;
  /** One line for the hub's own log. */
  readonly warn: (text: string) => void;
  /** The name of this node, where there may be others: each has alerts of its own about what runs on every node. */
  readonly node?: string | undefined;
}

/**
 * Call it after each run. Writes go one after the other and look at the newest run, so that an alert that is written late does not stay when
 * the job works again. What cannot be written now is tried again after the next run.
 */
export function jobAlarm({ database, clock, maxFailures, warn, node }: AlarmDependencies): RunEnded {
  const newest = new Map<string, JobStatus>();
  /** Whether the job's alert is open, as this process wrote it; an earlier process may have left one. */
  const written = new Map<string, boolean>();
  const writes = new Serial();
  const isDue = ({ failuresInARow }: JobStatus) => failuresInARow >= maxFailures;

  const write = async (name: string): Promise<void> => {
    const job = newest.get(name);
    if (job === undefined || written.get(name) === isDue(job)) return;
    // What one node does may be done by another now: that one settles the alert.
    const own = job.runsOn === 'every-node' && node !== undefined ? ` on ${node}` : '';
    const about = { kind: 'job-failing', subject: { part: 'jobs' }, detail: `${name}${own}`, nowMs: clock() } as const;
    if (isDue(job)) {
      const { summary, failuresInARow, lastError: error = '' } = job;
      const title = `the job ${name}${own} failed ${failuresInARow} times in a row: ${error}`;
      const data = { job: name, summary, error };
      await weighAlert(database, about, { severity: 'high', title, data });
    } else if (job.failuresInARow === 0) {
      await weighAlert(database, about, { settled: 'the job works again' });
    } else return;
    written.set(name, isDue(job));
  };

  return (job, _seconds, error) => {
    const { name } = job;
    const before = newest.get(name)?.failuresInARow ?? 0;
    newest.set(name, job);
    if (error !== undefined && before === 0) warn(`job ${name}: ${error.message}`);
    if (error === undefined && before > 0) warn(`job ${name}: works again`);
    if (written.get(name) === isDue(job)) return;
    // The store itself may be the fault; meanwhile the job's status has the error.
    writes.run(() => write(name)).catch(() => undefined);
  };
}
