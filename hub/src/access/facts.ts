// Facts that the hub knows about the devices that ask, read for many devices at once. Reads only the facts that the policy uses.
import { looksAt, type Reads } from '@edgekeep/core/policy/reads';
import type { DevicePrincipal } from '@edgekeep/core/policy/question';
import type { AlertSeverity } from '@edgekeep/wire/api/alert';
import type { SiteView } from '@edgekeep/wire/api/site';
import type { Kysely } from 'kysely';
import { claimsOfGroup } from '../registry/claims.ts';
import { listGroups } from '../registry/groups.ts';
import { matchingAmong } from '../registry/list.ts';
import { tagsOf } from '../registry/tags.ts';
import { sitesNamed } from '../site/sites.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';

/** The paths that are used; left out: all paths. */
export type FactPaths = Reads | 'all';

export interface Claim {
  readonly latitude: number;
  readonly longitude: number;
  /** When the device reported it, Unix milliseconds. */
  readonly saidAt: number;
}

/** What is needed of a device's row. */
export type FactsRow = Pick<DeviceRecord, 'id' | 'tier' | 'state' | 'site' | 'disabled_reason'>;

export interface DeviceFacts<Row extends FactsRow = DeviceRecord> {
  readonly row: Row;
  readonly principal: DevicePrincipal;
  readonly site: SiteView | undefined;
  readonly claim: Claim | undefined;
  readonly alerts: readonly AlertSeverity[];
}

/**
 * The facts of these devices, by id. The number of devices is limited to the ids that one statement can hold. Includes all groups with
 * named members; of the groups by filter only those in `filterGroups`, because each of them is a query.
 */
export async function factsOf<Row extends FactsRow>(
  db: Kysely<Tables>,
  rows: readonly Row[],
  { wanted, filterGroups, nowMs }: { wanted: FactPaths; filterGroups: ReadonlySet<string>; nowMs: number },
): Promise<ReadonlyMap<string, DeviceFacts<Row>>> {
  const wants = (path: string) => wanted === 'all' || looksAt(wanted, path);
  const ids = rows.map(({ id }) => id);
  // Place, time and zone of a device are those of its site.
  const wantsSite = ['context.network', 'context.time', 'context.zone', 'context.claimedLocation'].some(wants);
  const named = wantsSite ? [...new Set(rows.flatMap(({ site }) => site ?? []))] : [];
  const sites = new Map((await sitesNamed(db, named)).map((site) => [site.name, site]));
  const tags = wants('principal.tags') ? await tagsOf(db, ids) : new Map<string, Record<string, string>>();
  const groups = wants('principal.groups')
    ? await groupsOfMany(db, ids, filterGroups, nowMs)
    : new Map<string, Groups>();
  const claims = wants('context.claimedLocation') ? await claimsOf(db, ids) : new Map<string, Claim>();
  const alerts = wants('context.health') ? await alertsOf(db, ids) : new Map<string, AlertSeverity[]>();
  return new Map(
    rows.map((row) => {
      const { id, tier, state, site } = row;
      const principal: DevicePrincipal = {
        kind: 'device',
        id,
        tier,
        state,
        enabled: row.disabled_reason === null,
        ...(site === null ? {} : { site }),
        tags: { ...tags.get(id) },
        groups: groups.get(id)?.decided ?? [],
        claimGroups: groups.get(id)?.claimed ?? [],
      };
      const facts: DeviceFacts<Row> = {
        row,
        principal,
        site: site === null ? undefined : sites.get(site),
        claim: claims.get(id),
        alerts: alerts.get(id) ?? [],
      };
      return [id, facts] as const;
    }),
  );
}

/** The groups of a device: by decision, and by what it says of itself. */
interface Groups {
  readonly decided: string[];
  readonly claimed: string[];
}

// Groups with named members come from their rows, groups by filter from a query at this moment.
async function groupsOfMany(
  db: Kysely<Tables>,
  ids: readonly string[],
  filterGroups: ReadonlySet<string>,
  nowMs: number,
): Promise<ReadonlyMap<string, Groups>> {
  const groups = new Map<string, Groups>(ids.map((id) => [id, { decided: [], claimed: [] }]));
  const named = await db
    .selectFrom('device_group_member')
    .selectAll()
    .where('device_id', 'in', [...ids])
    .orderBy('group_name')
    .execute();
  for (const { device_id: id, group_name: name } of named) groups.get(id)?.decided.push(name);
  const known = filterGroups.size === 0 ? [] : await listGroups(db);
  for (const { name, filter } of known) {
    if (filter === null || !filterGroups.has(name)) continue;
    const kind = claimsOfGroup({ filter }, nowMs).length > 0 ? 'claimed' : 'decided';
    for (const id of await matchingAmong(db, filter, ids, nowMs)) groups.get(id)?.[kind].push(name);
  }
  for (const { decided, claimed } of groups.values()) {
    decided.sort();
    claimed.sort();
  }
  return groups;
}

// `location.latitude` and `location.longitude` as the device reports them. Values that are no place on earth are ignored.
async function claimsOf(db: Kysely<Tables>, ids: readonly string[]): Promise<ReadonlyMap<string, Claim>> {
  const rows = await db
    .selectFrom('device_attribute')
    .innerJoin('device_document', (join) =>
      join
        .onRef('device_document.device_id', '=', 'device_attribute.device_id')
        .onRef('device_document.side', '=', 'device_attribute.side'),
    )
    .select(['device_attribute.device_id as id', 'path', 'number_value as value', 'updated_at as saidAt'])
    .where('device_attribute.side', '=', 'reported')
    .where('path', 'in', ['location.latitude', 'location.longitude'])
    .where('device_attribute.device_id', 'in', [...ids])
    .execute();
  const degrees = new Map<string, { latitude?: number; longitude?: number; saidAt: number }>();
  for (const { id, path, value, saidAt } of rows) {
    const own = degrees.get(id) ?? { saidAt };
    if (value !== null) own[path === 'location.latitude' ? 'latitude' : 'longitude'] = value;
    degrees.set(id, own);
  }
  const claims = new Map<string, Claim>();
  for (const [id, { latitude, longitude, saidAt }] of degrees) {
    if (latitude === undefined || longitude === undefined) continue;
    if (Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180) claims.set(id, { latitude, longitude, saidAt });
  }
  return claims;
}

async function alertsOf(db: Kysely<Tables>, ids: readonly string[]): Promise<ReadonlyMap<string, AlertSeverity[]>> {
  const rows = await db
    .selectFrom('alert')
    .select(['device_id as id', 'severity'])
    .where('device_id', 'in', [...ids])
    .where('state', 'in', ['open', 'acknowledged'])
    .execute();
  const alerts = new Map<string, AlertSeverity[]>();
  for (const { id, severity } of rows) {
    if (id === null) continue;
    const own = alerts.get(id) ?? [];
    own.push(severity);
    alerts.set(id, own);
  }
  return alerts;
}
