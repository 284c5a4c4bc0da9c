// The newest root that each device has shown to know. This claim of a device can delay or speed up a roll-over; it opens nothing.
import type { Database, WriteTransaction } from '../store/database.ts';

/** Keeps the newest claim of a device; writes nothing when it is unchanged. */
export async function recordKnownRoot(
  database: Database,
  known: { readonly deviceId: string; readonly version: number; readonly nowMs: number },
): Promise<void> {
  const { deviceId, version, nowMs } = known;
  const before = await database.read
    .selectFrom('device_root')
    .select('generation')
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  if (before?.generation === version) return;
  await database.write(async (trx) => {
    const row = { generation: version, reported_at: nowMs };
    await trx
      .insertInto('device_root')
      .values({ device_id: deviceId, ...row })
      .onConflict((conflict) => conflict.column('device_id').doUpdateSet(row))
      .execute();
  });
}

/** For a device that was wiped. */
export async function forgetKnownRoot(trx: WriteTransaction, deviceId: string): Promise<void> {
  await trx.deleteFrom('device_root').where('device_id', '=', deviceId).execute();
}
