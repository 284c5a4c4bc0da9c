// The certificates that this hub issued, as rows: kept as long as a revocation list may name them. What ends them is in store.ts.
import type { Insertable } from 'kysely';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

export async function addCertificate(trx: WriteTransaction, row: Insertable<Tables['certificate']>): Promise<void> {
  await trx.insertInto('certificate').values(row).execute();
}

/** Those of a workload that ended before this time. */
export async function forgetEndedOf(
  trx: WriteTransaction,
  { deviceId, workload }: { readonly deviceId: string; readonly workload: string },
  beforeMs: number,
): Promise<void> {
  await trx
    .deleteFrom('certificate')
    .where('device_id', '=', deviceId)
    .where('workload', '=', workload)
    .where('not_after', '<', beforeMs)
    .execute();
}

/** Names the issuer of certificates from before a hub could have several. */
export async function nameIssuer(trx: WriteTransaction, issuer: string): Promise<void> {
  await trx.updateTable('certificate').set({ issuer }).where('issuer', '=', '').execute();
}
