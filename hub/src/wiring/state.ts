// The comparison of the store with its log: at the start, by a job, and with an alert when it finds something.
import type { AuditLog } from '../audit/log.ts';
import { type FoundState, SecurityState, type StateAlarm } from '../audit/security-state.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import { alarmRows } from '../respond/rows-alarm.ts';
import type { HubSettings } from '../settings.ts';
import type { Database } from '../store/database.ts';
import type { Assembly } from './assembly.ts';

interface Opened {
  readonly database: Database;
  readonly found: FoundState;
  readonly settings: HubSettings;
  readonly clock: Clock;
  readonly log: AuditLog;
}

export interface StateWatch {
  readonly checkState: () => Promise<void>;
  /** Resolves when the store is found changed while the hub runs, or this process may write to it no more: it must end. */
  readonly refused: Promise<HubError>;
}

export async function openState(hub: Assembly, { database, found, settings, clock, log }: Opened): Promise<StateWatch> {
  const refused = Promise.withResolvers<HubError>();
  database.onEnded = (why) => refused.resolve(why);
  const alarm = async (what: StateAlarm): Promise<void> => {
    // The error below says the same.
    await alarmRows(database, what, clock()).catch(() => undefined);
    if (what.ends) refused.resolve(new HubError('state-refused', 'the store is not what its log says: see the alert'));
  };
  const state = hub.use(await SecurityState.open({ database, found, clock, logSize: () => log.size, settings, alarm }));
  database.onCommit = () => {
    log.wake();
    state.committed();
  };
  const check = hub.scheduler.add(state.job);
  state.onDue(() => check.soon());
  if (log.skipped > 0) check.soon();
  return { checkState: () => check.now(), refused: refused.promise };
}
