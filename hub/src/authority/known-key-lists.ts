// The newest key list that each device has shown to know. This claim of a device can delay or speed up the change of a key; it opens nothing.
import { type Kysely, sql } from 'kysely';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import { waitedFor } from './views.ts';

/** Keeps the newest claim of a device; writes nothing when it is unchanged. */
export async function recordKnownKeyList(
  database: Database,
  known: { readonly deviceId: string; readonly number: number; readonly nowMs: number },
): Promise<void> {
  const { deviceId, number, nowMs } = known;
  const before = await database.read
    .selectFrom('device_key_list')
    .select('number')
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  if (before?.number === number) return;
  await database.write(async (trx) => {
    const row = { number, reported_at: nowMs };
    await trx
      .insertInto('device_key_list')
      .values({ device_id: deviceId, ...row })
      .onConflict((conflict) => conflict.column('device_id').doUpdateSet(row))
      .execute();
  });
}

/** For a device that was wiped. */
export async function forgetKnownKeyList(trx: WriteTransaction, deviceId: string): Promise<void> {
  await trx.deleteFrom('device_key_list').where('device_id', '=', deviceId).execute();
}

/** Devices that may connect and have not shown that they know the list with this number or a later one. */
export async function countKeyListPending(db: Kysely<Tables>, number: number): Promise<number> {
  const { count } = await db
    .selectFrom('device')
    .leftJoin('device_key_list', 'device_key_list.device_id', 'device.id')
    .select(sql<number>`count(*)`.as('count'))
    .where('device.state', 'in', waitedFor)
    .where('device.disabled_reason', 'is', null)
    .where((q) => q.or([q('device_key_list.number', 'is', null), q('device_key_list.number', '<', number)]))
    .executeTakeFirstOrThrow();
  return count;
}
