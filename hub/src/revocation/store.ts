// Revocation in the store (spec/revocation.md): what one transaction marks, and the counter from which every hub node learns of it.
import type { RevocationReason } from '@edgekeep/core/identity/crl-reason';
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import { inBatches } from '../store/batches.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

export interface RevocationMark {
  readonly reason: RevocationReason;
  readonly nowMs: number;
}

export interface RevokedRow {
  readonly serial: string;
  readonly deviceId: string;
}

/** In place of a serial: no connection is cut off, but the device is no witness. No certificate has this serial, which is hex. */
export const witnessOnly = 'witness';

/** What must be cut off: the connections of one certificate, or all of the device where `serial` is undefined. */
export interface DisconnectOrder {
  readonly deviceId: string;
  readonly serial: string | undefined;
}

/** Revokes every certificate of these devices that has not ended and was not revoked before. */
export async function revokeOfDevices(
  trx: WriteTransaction,
  deviceIds: readonly string[],
  mark: RevocationMark,
): Promise<readonly RevokedRow[]> {
  return inBatches(deviceIds, async (ids) =>
    revoking(trx, mark).where('device_id', 'in', ids).where('not_after', '>', mark.nowMs).execute(),
  );
}

/** Revokes the certificates of the workloads of these devices: when a device is cut off, its programs must not stay trusted. */
export async function revokeWorkloadsOf(
  trx: WriteTransaction,
  deviceIds: readonly string[],
  mark: RevocationMark,
): Promise<readonly RevokedRow[]> {
  return inBatches(deviceIds, async (ids) =>
    revoking(trx, mark)
      .where('device_id', 'in', ids)
      .where('workload', 'is not', null)
      .where('not_after', '>', mark.nowMs)
      .execute(),
  );
}

/** Revokes these certificates, even if they have ended; one that was revoked before keeps its date and reason, and is not returned. */
export async function revokeSerials(
  trx: WriteTransaction,
  serials: readonly string[],
  mark: RevocationMark,
): Promise<readonly RevokedRow[]> {
  return inBatches(serials, async (some) => revoking(trx, mark).where('serial', 'in', some).execute());
}

/** Revokes the valid certificates of one workload of a device. */
export async function revokeWorkload(
  trx: WriteTransaction,
  { deviceId, workload }: { readonly deviceId: string; readonly workload: string },
  mark: RevocationMark,
): Promise<readonly RevokedRow[]> {
  return revoking(trx, mark)
    .where('device_id', '=', deviceId)
    .where('workload', '=', workload)
    .where('not_after', '>', mark.nowMs)
    .execute();
}

/** Revokes the valid certificates of one issuing CA. */
export async function revokeOfIssuer(
  trx: WriteTransaction,
  issuer: string,
  mark: RevocationMark,
): Promise<readonly RevokedRow[]> {
  return revoking(trx, mark).where('issuer', '=', issuer).where('not_after', '>', mark.nowMs).execute();
}

function revoking(trx: WriteTransaction, { reason, nowMs }: RevocationMark) {
  return trx
    .updateTable('certificate')
    .set({ revoked_at: nowMs, revocation_reason: reason })
    .where('revoked_at', 'is', null)
    .returning(['serial', 'device_id as deviceId']);
}

/** Tells every hub node what to cut off, under the next version. Returns the version. */
export async function announceDisconnects(trx: WriteTransaction, cuts: readonly DisconnectOrder[]): Promise<number> {
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

/** The number of the next revocation list (RFC 5280 section 5.2.3): two never have one number, even from different nodes. */
export async function nextListNumber(
  trx: WriteTransaction,
): Promise<{ readonly version: number; readonly number: number }> {
  return trx
    .updateTable('revocation_state')
    .set((q) => ({ crl_number: q('crl_number', '+', 1) }))
    .where('id', '=', 1)
    .returning(['version', 'crl_number as number'])
    .executeTakeFirstOrThrow();
}

/** Writes what is there already: whether it commits shows whether the store and its disk work. */
export async function writeUnchanged(trx: WriteTransaction): Promise<void> {
  await trx
    .updateTable('revocation_state')
    .set((q) => ({ version: q.ref('version') }))
    .where('id', '=', 1)
    .execute();
}

/** Throws `certificate-revoked` unless the certificate was issued by this hub and is valid. */
export async function assertCertificateStands(db: Kysely<Tables>, sha256: string): Promise<void> {
  const row = await db.selectFrom('certificate').select('revoked_at').where('sha256', '=', sha256).executeTakeFirst();
  if (row === undefined || row.revoked_at !== null)
    throw new HubError('certificate-revoked', 'this certificate is revoked');
}
