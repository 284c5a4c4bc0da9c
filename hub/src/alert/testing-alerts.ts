import type { Kysely } from 'kysely';
import type { Tables } from '../store/schema.ts';
import type { AlertRow } from '../store/tables/alert.ts';

/** The alerts about a device, open or acknowledged, newest first. */
export async function openAlertsOf(
  db: Kysely<Tables>,
  deviceId: string,
): Promise<readonly Pick<AlertRow, 'id' | 'kind' | 'severity' | 'state'>[]> {
  return db
    .selectFrom('alert')
    .select(['id', 'kind', 'severity', 'state'])
    .where('device_id', '=', deviceId)
    .where('state', 'in', ['open', 'acknowledged'])
    .orderBy('id', 'desc')
    .execute();
}
