// The leases of model keys (spec/access.md): granted to one device, until they end or are ended.
import { inBatches } from '../store/batches.ts';
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { LeaseRecord } from '../store/tables/revocation.ts';

export const insertLease = prepared<LeaseRecord, never>((db, value) =>
  db.insertInto('lease').values({
    id: value('id'),
    device_id: value('device_id'),
    model: value('model'),
    version: value('version'),
    document: value('document'),
    not_after: value('not_after'),
    revoked_at: value('revoked_at'),
    log_index: value('log_index'),
    attestation_result: value('attestation_result'),
    granted_at: value('granted_at'),
    address: value('address'),
    round_trip_ms: value('round_trip_ms'),
    wrap: value('wrap'),
  }),
);

/** Ends every active lease of these devices. Returns the number. */
export async function voidLeases(trx: WriteTransaction, deviceIds: readonly string[], nowMs: number): Promise<number> {
  const counts = await inBatches(deviceIds, async (ids) => {
    const result = await trx
      .updateTable('lease')
      .set({ revoked_at: nowMs })
      .where('device_id', 'in', ids)
      .where('revoked_at', 'is', null)
      .where('not_after', '>', nowMs)
      .executeTakeFirst();
    return [Number(result.numUpdatedRows)];
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

/** Ends every active lease of a release. Returns the number. */
export async function voidLeasesOfRelease(
  trx: WriteTransaction,
  { model, version }: { readonly model: string; readonly version: string },
  nowMs: number,
): Promise<number> {
  const { numUpdatedRows } = await trx
    .updateTable('lease')
    .set({ revoked_at: nowMs })
    .where('model', '=', model)
    .where('version', '=', version)
    .where('revoked_at', 'is', null)
    .where('not_after', '>', nowMs)
    .executeTakeFirst();
  return Number(numUpdatedRows);
}
