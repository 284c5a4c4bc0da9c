// Keys for which the migration to canonical keys found several holders (docs/design/canonical-keys.md): reported once, by an alert, at the
// next start.
import { raiseAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';

/** Raises an alert for each noted key, and deletes the note in the same transaction. */
export async function raiseDuplicateKeys(database: Database, nowMs: number): Promise<void> {
  const found = await database.read.selectFrom('key_double').selectAll().execute();
  if (found.length === 0) return;
  await database.write(async (trx) => {
    for (const { sha256, holders } of found) {
      await raiseAlert(trx, {
        kind: 'keys-alike',
        severity: 'critical',
        subject: { part: 'store' },
        detail: sha256,
        title: `one key was stored in several forms and counted as several: ${holders}`,
        data: { sha256, holders: holders.slice(0, 300) },
        nowMs,
      });
      await trx.deleteFrom('key_double').where('sha256', '=', sha256).execute();
    }
  });
}
