// How many keys of one model one device may get in a window: each one is an audit entry and a lease. A device that renews as intended stays
// far below. A device above the limit is refused and raises an alert.
import type { Kysely } from 'kysely';
import { HubError } from '../error.ts';
import { raiseAlert } from '../alert/alerts.ts';
import type { HubSettings } from '../settings.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

export type ReleaseBudgetSettings = Pick<HubSettings, 'leaseSeconds' | 'lease'>;

export interface BudgetAsk {
  readonly deviceId: string;
  readonly model: string;
  readonly nowMs: number;
}

// A lease is renewed at two thirds of its life; the limit allows twice as many renewals.
const renewalsAllowedTimes = 2;
// For a device that is refused repeatedly, this counter is written at most this often.
const toldAgainMs = 60_000;
const DEVICES_TOLD_MAX = 20_000;
// The clocks of hub nodes differ by at most this much.
const nodesApartMs = 60_000;

/** Limits of one window: the number of renewals, and `maxPerWindow` in addition. */
export function releasesAllowed({ leaseSeconds, lease }: ReleaseBudgetSettings): number {
  const renewals = lease.windowSeconds / ((leaseSeconds * 2) / 3);
  return lease.maxPerWindow + Math.ceil(renewals * renewalsAllowedTimes);
}

/** Throws `rate-limited` when the device has used up its limit. */
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
    // If the clock was set back, earlier releases do not count until the clock has caught up.
    .where('granted_at', '<=', nowMs + nodesApartMs)
    .orderBy('granted_at', 'desc')
    .limit(allowed)
    .execute();
  if (recent.length < allowed) return;
  throw new LeasesUsedUp(
    `${deviceId} got ${allowed} keys of ${model} in ${windowSeconds} s: no more until they are longer ago`,
  );
}

/** The error that `assertWithinBudget` throws. */
export class LeasesUsedUp extends HubError {
  constructor(message: string) {
    super('rate-limited', message, { reasons: [{ code: 'leases-used-up', message }] });
  }
}

/** Raises the alert, at most once a minute for each device. */
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
    if (this.#toldMs.size >= DEVICES_TOLD_MAX) this.#toldMs.clear();
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
