// Values for which the migration to canonical values found two rows (docs/design/identities.md): reported once, by an alert, at the next
// start.
import { raiseAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';

/** Raises an alert for each noted double, and deletes the note in the same transaction. */
export async function raiseDuplicateValues(database: Database, nowMs: number): Promise<void> {
  const found = await database.read.selectFrom('value_double').selectAll().execute();
  if (found.length === 0) return;
  await database.writeAsHub(async (trx) => {
    for (const { kind, value, detail } of found) {
      await raiseAlert(trx, {
        kind: 'values-alike',
        severity: 'medium',
        subject: { part: 'store' },
        detail: `${kind} ${value}`,
        title: `one ${kind} was stored in several spellings that say different things: ${value}`,
        data: { kind, value, detail: detail.slice(0, 300) },
        nowMs,
      });
      await trx.deleteFrom('value_double').where('kind', '=', kind).where('value', '=', value).execute();
    }
  });
}
