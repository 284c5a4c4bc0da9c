// What the rule of spec/access.md, "Post-quantum by group", excludes: the devices of each group, by tier, and how many of them have no hybrid key.
// The fleet is read in pages, and other work gets its turn between them.
import { setImmediate } from 'node:timers/promises';
import type { Reads } from '@edgekeep/core/policy/reads';
import type { PostQuantumEffect } from '@edgekeep/wire/api/post-quantum';
import type { Kysely } from 'kysely';
import { listGroups } from '../registry/groups.ts';
import type { Tables } from '../store/schema.ts';
import { factsOf } from './facts.ts';

// Devices are read in pages that one statement can hold.
const PAGE_MAX = 500;
const reads: Reads = new Set(['principal.groups']);

interface Counted {
  devices: number;
  excluded: number;
}

/** In the order of `groups`; wiped and retired devices do not count. */
export async function effectOf(
  db: Kysely<Tables>,
  groups: readonly string[],
  nowMs: number,
): Promise<PostQuantumEffect[]> {
  const counts = new Map(groups.map((name) => [name, new Map<string, Counted>()]));
  const filterGroups = new Set(groups);
  for (let after = ''; ;) {
    const rows = await pageOf(db, after);
    const last = rows.at(-1);
    if (last === undefined) break;
    after = last.id;
    const facts = await factsOf(db, rows, { wanted: reads, filterGroups, nowMs });
    for (const row of rows) {
      const { groups: decided = [], claimGroups = [] } = facts.get(row.id)?.principal ?? {};
      for (const name of [...decided, ...claimGroups]) count(counts.get(name), row.tier, row.hybrid === null);
    }
    await setImmediate();
  }
  const known = new Set((await listGroups(db)).map(({ name }) => name));
  return groups.map((group) => ({
    group,
    exists: known.has(group),
    tiers: [...(counts.get(group) ?? [])].map(([tier, counted]) => ({ tier, ...counted })),
  }));
}

function count(tiers: Map<string, Counted> | undefined, tier: string, excluded: boolean): void {
  if (tiers === undefined) return;
  const counted = tiers.get(tier) ?? { devices: 0, excluded: 0 };
  counted.devices += 1;
  if (excluded) counted.excluded += 1;
  tiers.set(tier, counted);
}

function pageOf(db: Kysely<Tables>, after: string) {
  return db
    .selectFrom('device')
    .leftJoin('device_hybrid_key', 'device_hybrid_key.device_id', 'device.id')
    .select(['id', 'tier', 'state', 'site', 'disabled_reason', 'device_hybrid_key.registered_at as hybrid'])
    .where('id', '>', after)
    .where('state', 'not in', ['wiped', 'retired'])
    .orderBy('id')
    .limit(PAGE_MAX)
    .execute();
}
