// Raises an alert while a workload is declared for a group by what devices say of themselves (docs/design/claims.md). A hub of the version
// before took such a declaration; its devices get no certificate by it.
import type { Kysely } from 'kysely';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import { claimGroupsIn } from '../registry/claims.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

// An alert is read by people.
const NAMED_MAX = 4;

async function undecided(db: Kysely<Tables>, nowMs: number): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('workload_declaration')
    .select(['name', 'target'])
    .where('target_kind', '=', 'group')
    .orderBy('name')
    .execute();
  if (rows.length === 0) return [];
  const claimed = await claimGroupsIn(db, nowMs);
  return rows.filter(({ target }) => claimed.has(target)).map(({ name, target }) => `${name} for ${target}`);
}

/** Raises or settles the alert for the declarations of now. */
export async function weighWorkloadGroups(database: Database, nowMs: number): Promise<void> {
  const about = { kind: 'workload-rests-on-claims', subject: { part: 'workloads' }, nowMs } as const;
  await database.writeAsHub(async (trx) => {
    const found = await undecided(trx, nowMs);
    if (found.length === 0) {
      await settleAlert(trx, { ...about, note: 'no declaration does' });
      return;
    }
    const named = found.slice(0, NAMED_MAX);
    await raiseAlert(trx, {
      ...about,
      severity: 'high',
      title: `workloads are declared for groups by what devices say of themselves (${named.join(', ')}): no certificate is issued by them`,
      data: { declarations: named },
    });
  });
}
