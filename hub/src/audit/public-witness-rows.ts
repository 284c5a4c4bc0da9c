// What the hub knows of each public witness (spec/audit-log.md, "Public witnesses"). Its lines are not here: a receipt that is fetched after a start
// is under the next checkpoint, which the witness is asked for at once.
import type { Kysely } from 'kysely';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { PublicWitnessRow } from '../store/tables/audit.ts';

/** By verifier key, as the settings write it. */
export async function publicWitnessRows(db: Kysely<Tables>): Promise<ReadonlyMap<string, PublicWitnessRow>> {
  const rows = await db.selectFrom('public_witness').selectAll().execute();
  return new Map(rows.map((row) => [row.key, row]));
}

/** Keeps it in place of what was known; forgets the witnesses that are not `listed` any more. */
export async function savePublicWitness(
  trx: WriteTransaction,
  row: PublicWitnessRow,
  listed: readonly string[],
): Promise<void> {
  const gone = [row.key, ...(await publicWitnessRows(trx)).keys()].filter(
    (key) => key === row.key || !listed.includes(key),
  );
  await trx.deleteFrom('public_witness').where('key', 'in', gone).execute();
  await trx.insertInto('public_witness').values(row).execute();
}
