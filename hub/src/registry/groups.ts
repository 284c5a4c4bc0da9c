// Groups (spec/registry.md, "Groups"): a name for several devices. Members are named one by one, or are the devices that a filter matches
// now.
import { groupsNamed } from '@edgekeep/core/policy/claims';
import { readStatements } from '@edgekeep/core/policy/statement';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { inBatches } from '../store/batches.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceGroupMemberRow, DeviceGroupRow } from '../store/tables/registry.ts';
import { claimsOfGroup } from './claims.ts';
import { type Condition, conditionOf } from './condition.ts';
import { filterError, parseFilter } from './filter.ts';
import type { KnownGroups } from './statement.ts';

// The API lists all groups in one response.
const GROUPS_MAX = 1_000;

export interface GroupOrder {
  readonly name: string;
  readonly description: string;
  readonly filter: string | undefined;
  readonly actor: string;
  readonly nowMs: number;
}

export async function createGroup(database: Database, order: GroupOrder): Promise<DeviceGroupRow> {
  const { name, description, filter, actor, nowMs } = order;
  if (filter !== undefined) groupCondition(filter, nowMs);
  const row: DeviceGroupRow = { name, description, filter: filter ?? null, created_at: nowMs };
  return database.write(async (trx) => {
    const known = await listGroups(trx);
    if (known.some((group) => group.name === name))
      throw new HubError('conflict', `group ${name} exists already: \`edgekeep group list\` shows all`);
    if (known.length >= GROUPS_MAX)
      throw new HubError('conflict', `there are ${GROUPS_MAX} groups, which is the limit`);
    await assertKindAsNamed(trx, row, nowMs);
    await trx.insertInto('device_group').values(row).execute();
    const data = { filter };
    await appendEntry(trx, { at: nowMs, kind: 'group-created', actor, subject: `group:${name}`, data });
    return row;
  });
}

// A policy names groups by decision and claim groups as two kinds; a group that becomes of the other kind would be in neither.
async function assertKindAsNamed(trx: WriteTransaction, group: DeviceGroupRow, nowMs: number): Promise<void> {
  const policy = await trx
    .selectFrom('policy')
    .select(['version', 'text'])
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst();
  const read = policy === undefined ? undefined : readStatements(policy.text);
  if (policy === undefined || read?.kind !== 'read') return;
  const claimed = claimsOfGroup(group, nowMs).length > 0;
  const { decided, claimed: byClaims } = groupsNamed(read.statements);
  if (!(claimed ? decided : byClaims).has(group.name)) return;
  const kind = claimed ? 'one that the hub decides about' : 'a claim group';
  throw new HubError('conflict', `policy ${policy.version} names ${group.name} as ${kind}: take another name`);
}

export async function deleteGroup(
  database: Database,
  order: { name: string; actor: string; nowMs: number },
): Promise<void> {
  const { name, actor, nowMs } = order;
  await database.write(async (trx) => {
    await getGroup(trx, name);
    const joined = await trx
      .selectFrom('enrolment_group_join')
      .select('enrolment_group')
      .where('device_group', '=', name)
      .executeTakeFirst();
    if (joined !== undefined)
      throw new HubError('conflict', `devices of the enrollment group ${joined.enrolment_group} join ${name}`);
    const declared = await trx
      .selectFrom('workload_declaration')
      .select('name')
      .where('target_kind', '=', 'group')
      .where('target', '=', name)
      .executeTakeFirst();
    if (declared !== undefined) throw new HubError('conflict', `the workload ${declared.name} is declared for ${name}`);
    const forModel = await trx
      .selectFrom('model_group')
      .select('model')
      .where('group_name', '=', name)
      .executeTakeFirst();
    if (forModel !== undefined) throw new HubError('conflict', `the model ${forModel.model} is for ${name}`);
    await trx.deleteFrom('device_group_member').where('group_name', '=', name).execute();
    await trx.deleteFrom('device_group').where('name', '=', name).execute();
    await appendEntry(trx, { at: nowMs, kind: 'group-deleted', actor, subject: `group:${name}`, data: {} });
  });
}

/** Returns the devices that became members now. The groups exist and have named members. */
export async function addMembers(trx: WriteTransaction, members: readonly DeviceGroupMemberRow[]) {
  return inBatches(members, async (some) =>
    trx
      .insertInto('device_group_member')
      .values(some)
      .onConflict((conflict) => conflict.doNothing())
      .returning('device_id')
      .execute(),
  );
}

export interface MembersOrder {
  readonly name: string;
  readonly add: readonly string[];
  readonly remove: readonly string[];
  readonly actor: string;
  readonly nowMs: number;
}

/** Returns how many were added and removed; devices that were members already do not count. */
export async function changeMembers(
  database: Database,
  order: MembersOrder,
): Promise<{ added: number; removed: number }> {
  const { name, add, remove, actor, nowMs } = order;
  return database.write(async (trx) => {
    const group = await getGroup(trx, name);
    if (group.filter !== null)
      throw new HubError('conflict', `${name} is a query: its members are what the filter matches`);
    await assertKnown(trx, add);
    const removed = await trx
      .deleteFrom('device_group_member')
      .where('group_name', '=', name)
      .where('device_id', 'in', remove)
      .returning('device_id')
      .execute();
    const added = await addMembers(
      trx,
      [...new Set(add)].map((id) => ({ group_name: name, device_id: id })),
    );
    const data = { added: added.length, removed: removed.length };
    await appendEntry(trx, { at: nowMs, kind: 'group-changed', actor, subject: `group:${name}`, data });
    return data;
  });
}

async function assertKnown(trx: WriteTransaction, ids: readonly string[]): Promise<void> {
  const known = await inBatches(ids, async (some) =>
    trx
      .selectFrom('device')
      .select('id')
      .where('id', 'in', some)
      .union(trx.selectFrom('expected_device').select('id').where('id', 'in', some))
      .execute(),
  );
  const found = new Set(known.map(({ id }) => id));
  const unknown = ids.find((id) => !found.has(id));
  if (unknown !== undefined) throw new HubError('not-found', `no device ${unknown}, so no device was added`);
}

export async function listGroups(db: Kysely<Tables>): Promise<readonly DeviceGroupRow[]> {
  return db.selectFrom('device_group').selectAll().orderBy('name').execute();
}

export async function getGroup(db: Kysely<Tables>, name: string): Promise<DeviceGroupRow> {
  const row = await db.selectFrom('device_group').selectAll().where('name', '=', name).executeTakeFirst();
  if (row === undefined) throw new HubError('not-found', `no group ${name}: \`edgekeep group list\` shows all`);
  return row;
}

/** The groups that name the device as a member. */
export async function groupsOf(db: Kysely<Tables>, deviceId: string): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('device_group_member')
    .select('group_name')
    .where('device_id', '=', deviceId)
    .orderBy('group_name')
    .execute();
  return rows.map((row) => row.group_name);
}

/** The groups that a condition names. Throws `request-invalid` with the position of one that does not exist. */
export async function groupsIn(db: Kysely<Tables>, condition: Condition, nowMs: number): Promise<KnownGroups> {
  const found = new Map<string, Condition | undefined>();
  for (const { name, position } of namedGroups(condition)) {
    const row = await db.selectFrom('device_group').select('filter').where('name', '=', name).executeTakeFirst();
    if (row === undefined) throw filterError(position, `no group ${JSON.stringify(name.slice(0, 80))}`);
    found.set(name, row.filter === null ? undefined : groupCondition(row.filter, nowMs));
  }
  return found;
}

// If a query could name groups, it could name itself through other groups.
function groupCondition(filter: string, nowMs: number): Condition {
  const condition = conditionOf(parseFilter(filter), nowMs);
  const [named] = namedGroups(condition);
  if (named !== undefined) throw filterError(named.position, 'the filter of a group cannot use the field `group`');
  return condition;
}

function namedGroups(condition: Condition): readonly { readonly name: string; readonly position: number }[] {
  if (condition.kind === 'all' || condition.kind === 'any') return condition.of.flatMap(namedGroups);
  return condition.kind === 'group' ? [condition] : [];
}
