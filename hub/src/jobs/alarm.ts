// Recurring work that keeps failing is an alert, and a line in the hub's own log when it begins to fail and when it works again.
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import type { Database } from '../store/database.ts';
import type { JobStatus, RunEnded } from './scheduler.ts';

export interface AlarmDependencies {
  readonly database: Pick<Database, 'writeAsHub'>;
  readonly clock: Clock;
  /** Failures in a row for an alert. */
  readonly maxFailures: number;
  /** One line for the hub's own log. */
  readonly warn: (text: string) => void;
}

/** Call it after each run. An alert that cannot be written now is written after the next failure. */
export function jobAlarm({ database, clock, maxFailures, warn }: AlarmDependencies): RunEnded {
  const failing = new Set<string>();
  const alerted = new Set<string>();
  const seen = new Set<string>();
  const about = (name: string) =>
    ({ kind: 'job-failing', subject: { part: 'jobs' }, detail: name, nowMs: clock() }) as const;

  const raise = async ({ name, summary, failuresInARow, lastError = '' }: JobStatus): Promise<void> => {
    const title = `the job ${name} failed ${failuresInARow} times in a row: ${lastError}`;
    const data = { job: name, summary, error: lastError };
    await database.writeAsHub((trx) => raiseAlert(trx, { ...about(name), severity: 'high', title, data }));
    alerted.add(name);
  };
  const settle = async ({ name }: JobStatus): Promise<void> => {
    await database.writeAsHub((trx) => settleAlert(trx, { ...about(name), note: 'the job works again' }));
    alerted.delete(name);
    seen.add(name);
  };

  return (job, _seconds, error) => {
    const { name } = job;
    if (error !== undefined) {
      if (!failing.has(name)) warn(`job ${name}: ${error.message}`);
      failing.add(name);
      // The store itself may be the fault; meanwhile the job's status has the error.
      if (job.failuresInARow >= maxFailures && !alerted.has(name)) raise(job).catch(() => undefined);
      return;
    }
    if (failing.delete(name)) warn(`job ${name}: works again`);
    // An alert of an earlier process ends with this process's first success.
    if (alerted.has(name) || !seen.has(name)) settle(job).catch(() => undefined);
  };
}
