// Revocation in the store (spec/revocation.md): what one transaction marks, and the counter by which every hub node learns of it.
import type { RevocationReason } from '@edgekeep/core/identity/crl-reason';
import type { Kysely } from 'kysely';
import { HubError } from '../error.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

// Engines bound the parameters of a statement; SQLite's bound was once 999.
const batchMost = 500;

export interface RevocationMark {
  readonly reason: RevocationReason;
  readonly nowMs: number;
}

export interface RevokedRow {
  readonly serial: string;
  readonly deviceId: string;
}

/** What has to be cut off: the connections of one certificate, or all of the device where `serial` is undefined. */
export interface CutOrder {
  readonly deviceId: string;
  readonly serial: string | undefined;
}

/** Revokes whatever these devices hold that has neither ended nor been revoked before. */
export async function revokeOfDevices(
  trx: WriteTransaction,
  deviceIds: readonly string[],
  mark: RevocationMark,
): Promise<readonly RevokedRow[]> {
  return inBatches(deviceIds, async (ids) =>
    trx
      .updateTable('certificate')
      .set({ revoked_at: mark.nowMs, revocation_reason: mark.reason })
      .where('device_id', 'in', ids)
      .where('revoked_at', 'is', null)
      .where('not_after', '>', mark.nowMs)
      .returning(['serial', 'device_id as deviceId'])
      .execute(),
  );
}

/** Revokes what the workloads of these devices hold: a device that is cut off has no programs that others still believe. */
export async function revokeWorkloadsOf(
  trx: WriteTransaction,
  deviceIds: readonly string[],
  mark: RevocationMark,
): Promise<readonly RevokedRow[]> {
  return inBatches(deviceIds, async (ids) =>
    trx
      .updateTable('certificate')
      .set({ revoked_at: mark.nowMs, revocation_reason: mark.reason })
      .where('device_id', 'in', ids)
      .where('workload', 'is not', null)
      .where('revoked_at', 'is', null)
      .where('not_after', '>', mark.nowMs)
      .returning(['serial', 'device_id as deviceId'])
      .execute(),
  );
}

/** Revokes these certificates; one that was revoked before keeps its date and reason, and is not returned. */
export async function revokeSerials(
  trx: WriteTransaction,
  serials: readonly string[],
  mark: RevocationMark,
): Promise<readonly RevokedRow[]> {
  return inBatches(serials, async (some) =>
    trx
      .updateTable('certificate')
      .set({ revoked_at: mark.nowMs, revocation_reason: mark.reason })
      .where('serial', 'in', some)
      .where('revoked_at', 'is', null)
      .returning(['serial', 'device_id as deviceId'])
      .execute(),
  );
}

/** Ends every running lease of these devices; returns how many there were. */
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

/** Tells every hub node what to cut off, under the next version; returns the version. */
export async function announceCuts(trx: WriteTransaction, cuts: readonly CutOrder[]): Promise<number> {
  // The row stays locked until this transaction ends, so versions become visible in their order.
  const { version } = await trx
    .updateTable('revocation_state')
    .set((q) => ({ version: q('version', '+', 1) }))
    .where('id', '=', 1)
    .returning('version')
    .executeTakeFirstOrThrow();
  await inBatches(cuts, async (some) => {
    const rows = some.map(({ deviceId, serial }) => ({ version, device_id: deviceId, serial: serial ?? '' }));
    await trx.insertInto('revocation').values(rows).execute();
    return [];
  });
  return version;
}

/** Throws `certificate-revoked` unless the certificate is one of this hub's and stands. */
export async function assertCertificateStands(db: Kysely<Tables>, sha256: string): Promise<void> {
  const row = await db.selectFrom('certificate').select('revoked_at').where('sha256', '=', sha256).executeTakeFirst();
  if (row === undefined || row.revoked_at !== null)
    throw new HubError('certificate-revoked', 'this certificate is revoked');
}

/** Runs `work` over the list in parts that one statement can hold, one after the other. */
export async function inBatches<T, R>(
  list: readonly T[],
  work: (part: readonly T[]) => Promise<readonly R[]>,
): Promise<readonly R[]> {
  const results: R[] = [];
  for (let from = 0; from < list.length; from += batchMost) {
    for (const result of await work(list.slice(from, from + batchMost))) results.push(result);
  }
  return results;
}
