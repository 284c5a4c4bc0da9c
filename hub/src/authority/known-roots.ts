// Which root each device has shown to know. What a device says of itself delays or speeds up a roll-over and opens nothing.
import type { Database } from '../store/database.ts';

/** Keeps the newest word of a device; nothing is written when it is the same as before. */
export async function recordKnownRoot(
  database: Database,
  known: { readonly deviceId: string; readonly generation: number; readonly nowMs: number },
): Promise<void> {
  const { deviceId, generation, nowMs } = known;
  const before = await database.read
    .selectFrom('device_root')
    .select('generation')
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  if (before?.generation === generation) return;
  await database.write(async (trx) => {
    const row = { generation, reported_at: nowMs };
    await trx
      .insertInto('device_root')
      .values({ device_id: deviceId, ...row })
      .onConflict((conflict) => conflict.column('device_id').doUpdateSet(row))
      .execute();
  });
}
