// The groups of the post-quantum rule (spec/access.md, "Post-quantum by group"): a name that no group has asks nothing of anybody, and nobody sees it.
import type { Kysely } from 'kysely';
import { postQuantumRequest } from '@edgekeep/wire/api/post-quantum';
import { failed, type Finding, ok } from '@edgekeep/host/finding';
import type { HubSettings } from '../../settings.ts';
import { rowSqlOf } from '../../store/engine/row-sql.ts';
import type { Tables } from '../../store/schema.ts';

export async function checkPostQuantum(
  db: Kysely<Tables>,
  { access }: Pick<HubSettings, 'access'>,
): Promise<readonly Finding[]> {
  const asked = [...new Set([...access.requirePostQuantum, ...(await askedIn(db))])];
  if (asked.length === 0) return [];
  const groups = await db.selectFrom('device_group').select('name').execute();
  const known = new Set(groups.map(({ name }) => name));
  const gone = asked.filter((name) => !known.has(name));
  if (gone.length === 0) return [ok('post-quantum', `required by ${asked.join(', ')}`)];
  return [
    failed(
      'post-quantum',
      `post-quantum protection is required by groups that do not exist: ${gone.join(', ')}: nobody is held to it`,
      'make the group again (edgekeep group create), or take its name out: edgekeep post-quantum set, and access.requirePostQuantum in the settings',
    ),
  ];
}

// A store of before there was the rule has no such table.
async function askedIn(db: Kysely<Tables>): Promise<readonly string[]> {
  if (!(await rowSqlOf(db).hasTable(db, 'post_quantum_rule'))) return [];
  const newest = await db
    .selectFrom('post_quantum_rule')
    .select('document')
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  if (newest === undefined) return [];
  const document: unknown = JSON.parse(newest.document);
  return postQuantumRequest.parse(document).groups;
}
