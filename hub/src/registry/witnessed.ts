// The newest checkpoint that each device cosigned, with its cosignature (spec/agent.md, "A lost file"): a device that forgot what it saw of the log
// goes on from it, and knows its own signature. Written with the device's reports.
import type { Kysely } from 'kysely';
import type { Witnessed } from '../audit/unwritten.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

/** Keeps it, unless a longer log is known of this device. */
export async function keepWitnessed(
  trx: WriteTransaction,
  deviceId: string,
  { size, note }: Witnessed,
  nowMs: number,
): Promise<void> {
  const before = await findWitnessed(trx, deviceId);
  if (before !== undefined && before.size > size) return;
  await forgetWitnessed(trx, deviceId);
  const row = { device_id: deviceId, size, note, witnessed_at: nowMs };
  await trx.insertInto('device_witnessed').values(row).execute();
}

export async function findWitnessed(db: Kysely<Tables>, deviceId: string): Promise<Witnessed | undefined> {
  const row = await db
    .selectFrom('device_witnessed')
    .select(['size', 'note'])
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  return row && { size: row.size, note: new Uint8Array(row.note) };
}

/** For a device that is wiped. */
export async function forgetWitnessed(trx: WriteTransaction, deviceId: string): Promise<void> {
  await trx.deleteFrom('device_witnessed').where('device_id', '=', deviceId).execute();
}
