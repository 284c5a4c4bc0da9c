// The groups of devices that a model is for: the default policy releases its key by them (spec/access.md, "Models for groups"). A group
// that decides about keys has named members, or a filter over values that the hub decides; a filter over values that devices report is
// refused here.
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { claimsOfGroup } from '../registry/claims.ts';
import { getGroup } from '../registry/groups.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

/** A question to the policy carries all of them. */
const GROUPS_OF_MODEL_MAX = 100;

export interface AssignOrder {
  readonly model: string;
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly actor: string;
  readonly nowMs: number;
}

/** The groups that a model is for, by name. */
export async function groupsOfModel(db: Kysely<Tables>, model: string): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('model_group')
    .select('group_name')
    .where('model', '=', model)
    .orderBy('group_name')
    .execute();
  return rows.map((row) => row.group_name);
}

/** Changes the groups of a model, before or after it is published. Throws `conflict` for a group by values that devices report. */
export async function assignModel(database: Database, order: AssignOrder): Promise<readonly string[]> {
  const { model, add, remove, actor, nowMs } = order;
  return database.write(async (trx) => {
    for (const name of add) {
      const [claim] = claimsOfGroup(await getGroup(trx, name), nowMs);
      if (claim !== undefined) {
        throw new HubError(
          'conflict',
          `${name} is by ${claim}, which devices report: such a group cannot decide about keys`,
        );
      }
    }
    const before = await groupsOfModel(trx, model);
    const wanted = [...new Set([...before, ...add])].filter((name) => !remove.includes(name)).toSorted();
    if (wanted.length > GROUPS_OF_MODEL_MAX)
      throw new HubError('conflict', `a model is for at most ${GROUPS_OF_MODEL_MAX} groups: combine some`);
    const added = wanted.filter((name) => !before.includes(name));
    const removed = before.filter((name) => !wanted.includes(name));
    if (added.length + removed.length === 0) return before;
    if (removed.length > 0)
      await trx.deleteFrom('model_group').where('model', '=', model).where('group_name', 'in', removed).execute();
    for (const name of added)
      await trx.insertInto('model_group').values({ model, group_name: name, assigned_at: nowMs }).execute();
    const data = { added: added.slice(0, NAMED_MAX), removed: removed.slice(0, NAMED_MAX), groups: wanted.length };
    await appendEntry(trx, { at: nowMs, kind: 'model-assigned', actor, subject: `model:${model}`, data });
    return wanted;
  });
}

// An audit entry has at most 8 KiB.
const NAMED_MAX = 50;
