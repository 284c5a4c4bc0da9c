// The history of a device: one row per change, with its reason, written in the transaction of the change and pointing at its audit entry.
import type { Database, WriteTransaction } from '../store/database.ts';
import type { DeviceHistoryRow } from '../store/tables/registry.ts';

export interface Change {
  readonly deviceId: string;
  /** Of the audit entry that records it. */
  readonly logIndex: number;
  readonly at: number;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
  readonly actor: string;
}

export async function recordChange(trx: WriteTransaction, change: Change): Promise<void> {
  const { deviceId, logIndex, at, from, to, reason, actor } = change;
  const row: DeviceHistoryRow = {
    device_id: deviceId,
    log_index: logIndex,
    at,
    from_state: from,
    to_state: to,
    reason,
    actor,
  };
  await trx.insertInto('device_history').values(row).execute();
}

/** The newest changes first, those before the entry `before` of the log. */
export async function changesOf(
  database: Database,
  deviceId: string,
  page: { readonly before: number | undefined; readonly limit: number },
): Promise<readonly Change[]> {
  const rows = await database.read
    .selectFrom('device_history')
    .selectAll()
    .where('device_id', '=', deviceId)
    .where('log_index', '<', page.before ?? Number.MAX_SAFE_INTEGER)
    .orderBy('log_index', 'desc')
    .limit(page.limit)
    .execute();
  return rows.map((row) => ({
    deviceId: row.device_id,
    logIndex: row.log_index,
    at: row.at,
    from: row.from_state,
    to: row.to_state,
    reason: row.reason,
    actor: row.actor,
  }));
}
