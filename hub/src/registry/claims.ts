// Claim groups (docs/design/claims.md): groups whose filter asks what devices say of themselves. They find devices, and never decide about
// keys, connections or workloads' certificates.
import { type RegistryField, registryOrigins } from '@edgekeep/core/policy/origins';
import type { Kysely } from 'kysely';
import type { Tables } from '../store/schema.ts';
import type { DeviceGroupRow } from '../store/tables/registry.ts';
import { columns, type Condition, conditionOf } from './condition.ts';
import { parseFilter } from './filter.ts';

/** The fields of a filter that devices claim, each once. Throws as parsing does. */
function claimsIn(filter: string, nowMs: number): readonly string[] {
  return [...new Set(claimsOf(conditionOf(parseFilter(filter), nowMs)))];
}

/** What devices say of themselves in the filter of a group; nothing for named members. */
export function claimsOfGroup({ filter }: Pick<DeviceGroupRow, 'filter'>, nowMs: number): readonly string[] {
  return filter === null ? [] : claimsIn(filter, nowMs);
}

/** The fields that the filter of a group uses; none for named members. */
export function fieldsOfGroup({ filter }: Pick<DeviceGroupRow, 'filter'>, nowMs: number): readonly RegistryField[] {
  return filter === null ? [] : fieldsOf(conditionOf(parseFilter(filter), nowMs));
}

function fieldsOf(condition: Condition): readonly RegistryField[] {
  return 'of' in condition ? condition.of.flatMap(fieldsOf) : [fieldOf(condition)];
}

/** The names of the groups that are claim groups. */
export function claimGroupsAmong(
  groups: readonly Pick<DeviceGroupRow, 'name' | 'filter'>[],
  nowMs: number,
): ReadonlySet<string> {
  return new Set(groups.filter((group) => claimsOfGroup(group, nowMs).length > 0).map(({ name }) => name));
}

/** All claim groups of the hub. */
export async function claimGroupsIn(db: Kysely<Tables>, nowMs: number): Promise<ReadonlySet<string>> {
  const rows = await db.selectFrom('device_group').select(['name', 'filter']).where('filter', 'is not', null).execute();
  return claimGroupsAmong(rows, nowMs);
}

function claimsOf(condition: Condition): readonly string[] {
  if ('of' in condition) return condition.of.flatMap(claimsOf);
  const field = fieldOf(condition);
  if (registryOrigins[field] !== 'claimed') return [];
  return [condition.kind === 'attribute' ? `${condition.side}.${condition.path}` : field];
}

function fieldOf(condition: Exclude<Condition, { readonly of: readonly Condition[] }>): RegistryField {
  switch (condition.kind) {
    case 'attribute':
      return condition.side === 'reported' ? 'reported.PATH' : 'desired.PATH';
    case 'model':
      return condition.column === 'model' ? 'holds' : 'fault';
    case 'column':
      return columnField(condition.column);
    case 'place':
      return condition.column === 'site' ? 'site' : 'enrollmentGroup';
    case 'tag':
      return 'tags.KEY';
    case 'enabled':
    case 'group':
      return condition.kind;
  }
}

function columnField(column: Extract<Condition, { kind: 'column' }>['column']): RegistryField {
  for (const name of ['id', 'tier', 'state', 'attestation', 'seenAt', 'enrolledAt'] as const)
    if (columns[name].column === column) return name;
  // A column that the table does not know counts as claimed.
  return 'reported.PATH';
}
