// How many keys of one model one device may get in a window: each one is an audit entry and a lease. A device that renews as intended stays
// far below. A device above the limit is refused and raises an alert.
import type { Kysely } from 'kysely';
import { LruMap } from 'toad-cache';
import { HubError } from '../common/error.ts';
import { raiseAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { LeaseRecord } from '../store/tables/revocation.ts';

export interface ReleaseBudgetSettings {
  readonly leaseSeconds: number;
  readonly lease: { readonly maxPerWindow: number; readonly windowSeconds: number };
}

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
function releasesAllowed({ leaseSeconds, lease }: ReleaseBudgetSettings): number {
  const renewals = lease.windowSeconds / ((leaseSeconds * 2) / 3);
  return lease.maxPerWindow + Math.ceil(renewals * renewalsAllowedTimes);
}

/** 4a. Throws `rate-limited` when the device has used up its limit. */
export async function assertWithinBudget(
  db: Kysely<Tables>,
  ask: BudgetAsk,
  settings: ReleaseBudgetSettings,
): Promise<void> {
  const { deviceId, model, nowMs } = ask;
  const allowed = releasesAllowed(settings);
  const { windowSeconds } = settings.lease;
  const [last] = await counted(db, {
    deviceId,
    model,
    fromMs: nowMs - windowSeconds * 1_000,
    // If the clock was set back, earlier releases do not count until the clock has caught up.
    toMs: nowMs + nodesApartMs,
    before: allowed - 1,
  });
  if (last === undefined) return;
  throw new LeasesUsedUp(
    `${deviceId} got ${allowed} keys of ${model} in ${windowSeconds} s, which is the limit: try again later`,
  );
}

interface Window {
  readonly deviceId: string;
  readonly model: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly before: number;
}

// One row where there are more than `before`, read from the index alone.
const counted = prepared<Window, Pick<LeaseRecord, 'granted_at'>>((db, value) =>
  db
    .selectFrom('lease')
    .select('granted_at')
    .where('device_id', '=', value('deviceId'))
    .where('model', '=', value('model'))
    .where('granted_at', '>', value('fromMs'))
    .where('granted_at', '<=', value('toMs'))
    .orderBy('granted_at', 'desc')
    .limit(1)
    .offset(value('before')),
);

/** The error that `assertWithinBudget` throws. */
export class LeasesUsedUp extends HubError {
  constructor(message: string) {
    super('rate-limited', message, { reasons: [{ code: 'leases-used-up', message }] });
  }
}

/** Raises the alert, at most once a minute for each device. */
export class LeaseAlarm {
  readonly #database: Database;
  readonly #toldMs = new LruMap<number>(DEVICES_TOLD_MAX);

  constructor(database: Database) {
    this.#database = database;
  }

  async raise({ deviceId, model, nowMs }: BudgetAsk, address: string, settings: ReleaseBudgetSettings): Promise<void> {
    const cause = `${deviceId} ${model}`;
    const before = this.#toldMs.get(cause);
    if (before !== undefined && Math.abs(nowMs - before) < toldAgainMs) return;
    this.#toldMs.set(cause, nowMs);
    const { windowSeconds } = settings.lease;
    await this.#database.writeAsHub((trx) =>
      raiseAlert(trx, {
        kind: 'leases-used-up',
        severity: 'high',
        subject: { deviceId },
        detail: model,
        title: `${deviceId} got ${releasesAllowed(settings)} keys of ${model} in ${windowSeconds} s; further requests are refused`,
        data: { model, allowed: releasesAllowed(settings), windowSeconds, addresses: [address] },
        actor: `device:${deviceId}`,
        nowMs,
      }),
    );
  }
}
