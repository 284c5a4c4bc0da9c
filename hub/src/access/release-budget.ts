// How many keys of one model one device may get in a window: each is an entry in the audit log and a lease. A device that renews as it should is
// far below; one that is over it uses them up in vain, is refused, and is an alert.
import type { Kysely } from 'kysely';
import { HubError } from '../error.ts';
import { raiseAlert } from '../respond/alerts.ts';
import type { HubSettings } from '../settings.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

export type ReleaseBudgetSettings = Pick<HubSettings, 'leaseSeconds' | 'lease'>;

export interface BudgetAsk {
  readonly deviceId: string;
  readonly model: string;
  readonly nowMs: number;
}

// A lease is renewed at two thirds; what is counted as renewal is twice as many.
const renewalsAllowedTimes = 2;
// A device that is refused again and again makes one number grow this often.
const toldAgainMs = 60_000;
const devicesToldMax = 20_000;
// The clocks of hub nodes are this close.
const nodesApartMs = 60_000;

/** In one window: those that are renewals, and `maxPerWindow` besides. */
export function releasesAllowed({ leaseSeconds, lease }: ReleaseBudgetSettings): number {
  const renewals = lease.windowSeconds / ((leaseSeconds * 2) / 3);
  return lease.maxPerWindow + Math.ceil(renewals * renewalsAllowedTimes);
}

/** Throws `rate-limited` when the device has had all that it may. */
export async function assertWithinBudget(
  db: Kysely<Tables>,
  ask: BudgetAsk,
  settings: ReleaseBudgetSettings,
): Promise<void> {
  const { deviceId, model, nowMs } = ask;
  const allowed = releasesAllowed(settings);
  const { windowSeconds } = settings.lease;
  const recent = await db
    .selectFrom('lease')
    .select('granted_at')
    .where('device_id', '=', deviceId)
    .where('model', '=', model)
    .where('granted_at', '>', nowMs - windowSeconds * 1_000)
    // What a hub gave before its clock was set back does not count until the clock has caught up.
    .where('granted_at', '<=', nowMs + nodesApartMs)
    .orderBy('granted_at', 'desc')
    .limit(allowed)
    .execute();
  if (recent.length < allowed) return;
  throw new LeasesUsedUp(
    `${deviceId} got ${allowed} keys of ${model} in ${windowSeconds} s: no more until they are longer ago`,
  );
}

/** What `assertWithinBudget` throws. */
export class LeasesUsedUp extends HubError {
  constructor(message: string) {
    super('rate-limited', message, { reasons: [{ code: 'leases-used-up', message }] });
  }
}

/** Says it to operators, not more often than once a minute for each device. */
export class LeaseAlarm {
  readonly #database: Database;
  readonly #toldMs = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  async raise({ deviceId, model, nowMs }: BudgetAsk, address: string, settings: ReleaseBudgetSettings): Promise<void> {
    const cause = `${deviceId} ${model}`;
    const before = this.#toldMs.get(cause);
    if (before !== undefined && Math.abs(nowMs - before) < toldAgainMs) return;
    if (this.#toldMs.size >= devicesToldMax) this.#toldMs.clear();
    this.#toldMs.set(cause, nowMs);
    const { windowSeconds } = settings.lease;
    await this.#database.writeAsHub((trx) =>
      raiseAlert(trx, {
        kind: 'leases-used-up',
        severity: 'high',
        subject: { deviceId },
        detail: model,
        title: `${deviceId} asks for the key of ${model} again and again: ${releasesAllowed(settings)} in ${windowSeconds} s, and is refused more`,
        data: { model, allowed: releasesAllowed(settings), windowSeconds, addresses: [address] },
        actor: `device:${deviceId}`,
        nowMs,
      }),
    );
  }
}
