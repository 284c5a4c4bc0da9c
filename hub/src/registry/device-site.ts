// The site that each device is at (spec/site.md).
import { inBatches } from '../store/batches.ts';
import type { WriteTransaction } from '../store/database.ts';

export async function setSite(trx: WriteTransaction, deviceId: string, site: string): Promise<void> {
  await trx.updateTable('device').set({ site }).where('id', '=', deviceId).execute();
}

/** Puts devices at the site, from any other. Returns those that really moved. */
export async function moveToSite(trx: WriteTransaction, ids: readonly string[], site: string) {
  return inBatches([...new Set(ids)], async (some) =>
    trx
      .updateTable('device')
      .set({ site })
      .where('id', 'in', some)
      .where((q) => q.or([q('site', 'is', null), q('site', '!=', site)]))
      .returning('id')
      .execute(),
  );
}

/** Returns those that were there. */
export async function takeFromSite(trx: WriteTransaction, ids: readonly string[], site: string) {
  return inBatches(ids, async (some) =>
    trx
      .updateTable('device')
      .set({ site: null })
      .where('id', 'in', some)
      .where('site', '=', site)
      .returning('id')
      .execute(),
  );
}

/** Takes all devices from the site. Returns their number. */
export async function emptySite(trx: WriteTransaction, site: string): Promise<number> {
  const left = await trx.updateTable('device').set({ site: null }).where('site', '=', site).executeTakeFirst();
  return Number(left.numUpdatedRows);
}
