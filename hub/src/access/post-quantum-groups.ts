// The groups that need post-quantum protection (spec/access.md, "Post-quantum by group"): those of the setting, and those that operators set, each
// version kept. The newest is read whenever it decides, so that every node follows it at once.
import { encodeCanonicalJson, parseJson } from '@edgekeep/core/json';
import { postQuantumRequest } from '@edgekeep/wire/api/post-quantum';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { claimsOfGroup } from '../registry/claims.ts';
import { listGroups } from '../registry/groups.ts';
import type { Database } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';

export interface PostQuantumGroups {
  /** 0: no operator has set any. */
  readonly version: number;
  readonly groups: readonly string[];
}

const newest = prepared<Record<string, never>, { readonly version: number; readonly document: string }>((db) =>
  db.selectFrom('post_quantum_rule').select(['version', 'document']).orderBy('version', 'desc').limit(1),
);

/** What operators set. */
export async function postQuantumGroups(db: Kysely<Tables>): Promise<PostQuantumGroups> {
  const [row] = await newest(db, {});
  if (row === undefined) return { version: 0, groups: [] };
  const document = Buffer.from(row.document);
  const { groups } = parseJson(document, postQuantumRequest, `post-quantum rule ${row.version}`);
  return { version: row.version, groups };
}

export interface PostQuantumOrder {
  readonly groups: readonly string[];
  readonly actor: string;
  readonly nowMs: number;
}

/** Sets the next version, with its entry. Throws `not-found` for a name that no group has, `request-invalid` for a claim group. */
export async function setPostQuantumGroups(database: Database, { groups, actor, nowMs }: PostQuantumOrder) {
  await database.write(async (trx) => {
    await assertGroups(trx, groups, nowMs);
    const version = (await postQuantumGroups(trx)).version + 1;
    const sorted = [...new Set(groups)].toSorted();
    const document = Buffer.from(encodeCanonicalJson({ groups: sorted })).toString('utf8');
    const row = { version, document, applied_at: nowMs, applied_by: actor };
    await trx.insertInto('post_quantum_rule').values(row).execute();
    const data = { version, groups: sorted };
    await appendEntry(trx, { at: nowMs, kind: 'post-quantum-set', actor, subject: 'post-quantum', data });
  });
}

/** Each is a group whose members the hub decides: a device must not report itself out of the rule. */
export async function assertGroups(db: Kysely<Tables>, groups: readonly string[], nowMs: number): Promise<void> {
  const known = new Map((await listGroups(db)).map((group) => [group.name, group]));
  for (const name of groups) {
    const group = known.get(name);
    if (group === undefined)
      throw new HubError('not-found', `no group ${name}, so nothing was set: \`edgekeep group list\` shows all`);
    if (claimsOfGroup(group, nowMs).length === 0) continue;
    const message = `${name} is a claim group: its devices could report themselves out of the rule`;
    throw new HubError('request-invalid', message);
  }
}
