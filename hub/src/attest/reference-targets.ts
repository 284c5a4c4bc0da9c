// What decides whether reference values are for a device: its product, groups and tags, read for the targets that there are.
import type { TargetFacts } from '@edgekeep/core/attest/reference-target';
import type { ReferenceValues } from '@edgekeep/core/attest/reference-values';
import type { Kysely } from 'kysely';
import { claimsOfGroup } from '../registry/claims.ts';
import { matchingAmong } from '../registry/list.ts';
import { tagsOf } from '../registry/tags.ts';
import type { Tables } from '../store/schema.ts';

const nothing: TargetFacts = { product: undefined, groups: new Set(), tags: {} };

/** Reads only what the targets of `sets` ask for. A device that is not registered yet has nothing. */
export async function targetFactsOf(
  db: Kysely<Tables>,
  deviceId: string,
  sets: readonly Pick<ReferenceValues, 'target'>[],
  nowMs: number,
): Promise<TargetFacts> {
  const targets = sets.flatMap(({ target }) => target ?? []);
  if (targets.length === 0) return nothing;
  const device = await db.selectFrom('device').select('product').where('id', '=', deviceId).executeTakeFirst();
  if (device === undefined) return nothing;
  const names = [...new Set(targets.flatMap(({ groups = [] }) => groups))];
  const groups = new Set<string>();
  for (const name of names) if (await isMember(db, name, deviceId, nowMs)) groups.add(name);
  const asksTags = targets.some(({ tags }) => tags !== undefined);
  const tags = asksTags ? ((await tagsOf(db, [deviceId])).get(deviceId) ?? {}) : {};
  return { product: device.product ?? undefined, groups, tags };
}

/** What is wrong with the groups of a target; undefined where each is one that the hub decides about. */
export async function groupProblem(
  db: Kysely<Tables>,
  { target }: Pick<ReferenceValues, 'target'>,
  nowMs: number,
): Promise<string | undefined> {
  for (const name of target?.groups ?? []) {
    const row = await db.selectFrom('device_group').selectAll().where('name', '=', name).executeTakeFirst();
    if (row === undefined) return `there is no group ${name}: no device could be in it`;
    if (claimsOfGroup(row, nowMs).length > 0)
      return `${name} is a claim group: a device would choose what it is compared with`;
  }
  return undefined;
}

// A group that has become a claim group has no members here: devices would choose what they are compared with.
async function isMember(db: Kysely<Tables>, name: string, deviceId: string, nowMs: number): Promise<boolean> {
  const group = await db.selectFrom('device_group').selectAll().where('name', '=', name).executeTakeFirst();
  if (group === undefined) return false;
  if (group.filter !== null) {
    if (claimsOfGroup(group, nowMs).length > 0) return false;
    return (await matchingAmong(db, group.filter, [deviceId], nowMs)).has(deviceId);
  }
  const member = await db
    .selectFrom('device_group_member')
    .select('device_id')
    .where('group_name', '=', name)
    .where('device_id', '=', deviceId)
    .executeTakeFirst();
  return member !== undefined;
}
