// The workloads that an operator wants, and where (spec/workload.md, "Declare"): a name on one device, or on every device of a group.
import type { DeclarationView } from '@edgekeep/wire/api/workload';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { claimGroupsIn, claimsOfGroup } from '../registry/claims.ts';
import { assertNoHost } from '../store/hub-names.ts';
import { getGroup } from '../registry/groups.ts';
import { countDevices } from '../registry/list.ts';
import { getDevice } from '../registry/states.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceGroupRow } from '../store/tables/registry.ts';
import type { WorkloadDeclarationRow } from '../store/tables/workload.ts';
import { recordWorkloadChange, revokeWorkloads } from './revoke.ts';

/** The API lists all declarations in one response. */
const DECLARATIONS_MAX = 2_000;

export interface WorkloadTarget {
  readonly kind: WorkloadDeclarationRow['target_kind'];
  readonly name: string;
}

interface DeclarationOrder {
  readonly workload: string;
  readonly target: WorkloadTarget;
  readonly actor: string;
  readonly nowMs: number;
}

export async function declareWorkload(
  database: Database,
  order: DeclarationOrder & { readonly description: string },
): Promise<DeclarationView> {
  const { workload, target, description, actor, nowMs } = order;
  const row: WorkloadDeclarationRow = {
    target_kind: target.kind,
    target: target.name,
    name: workload,
    description,
    declared_at: nowMs,
  };
  return database.write(async (trx) => {
    await assertNoHost(trx, 'workload', workload);
    if (target.kind === 'group') assertDecided(await getGroup(trx, target.name), nowMs);
    else await getDevice(trx, target.name);
    const known = await trx.selectFrom('workload_declaration').selectAll().execute();
    if (known.some((each) => isOf(each, target) && each.name === workload))
      throw new HubError('conflict', `${workload} is declared for ${target.kind} ${target.name} already`);
    if (known.length >= DECLARATIONS_MAX)
      throw new HubError(
        'conflict',
        `there are ${DECLARATIONS_MAX} declarations, which is the limit: declare them for groups`,
      );
    await trx.insertInto('workload_declaration').values(row).execute();
    const subject = `${target.kind}:${target.name}`;
    const logIndex = await appendEntry(trx, {
      at: nowMs,
      kind: 'workload-declared',
      actor,
      subject,
      data: { workload },
    });
    if (target.kind === 'device') {
      const change = { change: 'declared', reason: description, logIndex, actor, nowMs };
      await recordWorkloadChange(trx, { deviceId: target.name, workload }, change);
    }
    return viewOf(row);
  });
}

/**
 * Withdraws a declaration. On one device its certificates are revoked at once, unless a group still declares it. Where a group declared it
 * they run out, and no others are issued.
 */
export async function removeWorkload(
  database: Database,
  order: DeclarationOrder,
): Promise<{ readonly certificatesRevoked: number }> {
  const { workload, target, actor, nowMs } = order;
  return database.write(async (trx) => {
    const removed = await trx
      .deleteFrom('workload_declaration')
      .where('target_kind', '=', target.kind)
      .where('target', '=', target.name)
      .where('name', '=', workload)
      .returning('name')
      .execute();
    if (removed.length === 0)
      throw new HubError('not-found', `${workload} is not declared for ${target.kind} ${target.name}`);
    const ends =
      target.kind === 'device' && (await declaredFor(trx, target.name, nowMs, workload)).length === 0
        ? await revokeWorkloads(trx, { deviceId: target.name, workload }, { reason: 'cessationOfOperation', nowMs })
        : 0;
    const subject = `${target.kind}:${target.name}`;
    const data = { workload, certificatesRevoked: ends };
    const logIndex = await appendEntry(trx, { at: nowMs, kind: 'workload-removed', actor, subject, data });
    if (target.kind === 'device') {
      const change = { change: 'removed', reason: '', logIndex, actor, nowMs };
      await recordWorkloadChange(trx, { deviceId: target.name, workload }, change);
    }
    return { certificatesRevoked: ends };
  });
}

// A device must not get a certificate by what it says of itself.
function assertDecided(group: DeviceGroupRow, nowMs: number): void {
  const [claim] = claimsOfGroup(group, nowMs);
  if (claim === undefined) return;
  throw new HubError(
    'conflict',
    `${group.name} is by ${claim}, which devices report: such a group cannot decide who gets a certificate`,
  );
}

export async function listDeclarations(
  db: Kysely<Tables>,
  target: WorkloadTarget | undefined,
): Promise<readonly DeclarationView[]> {
  const rows = await db
    .selectFrom('workload_declaration')
    .selectAll()
    .orderBy('name')
    .orderBy('target_kind')
    .orderBy('target')
    .execute();
  return rows.filter((row) => target === undefined || isOf(row, target)).map(viewOf);
}

/** A workload, and how it is declared for the device: `device`, or a group that it is in. */
export interface Declared {
  readonly workload: string;
  readonly by: string;
}

/**
 * The present declarations for a device, its own and those of its groups; only those of the named workload where one is named. A claim group
 * declares nothing: a hub of the version before could have taken one.
 */
export async function declaredFor(
  db: Kysely<Tables>,
  deviceId: string,
  nowMs: number,
  workload?: string,
): Promise<readonly Declared[]> {
  let query = db
    .selectFrom('workload_declaration')
    .selectAll()
    .orderBy('name')
    .orderBy('target_kind')
    .orderBy('target');
  if (workload !== undefined) query = query.where('name', '=', workload);
  const rows = await query.execute();
  const groups = new Set<string>();
  const named = new Set(rows.flatMap((row) => (row.target_kind === 'group' ? [row.target] : [])));
  const claimed = named.size === 0 ? new Set<string>() : await claimGroupsIn(db, nowMs);
  for (const group of named) {
    if (claimed.has(group)) continue;
    // Device ids and names of groups are words of the filter language as they are.
    if ((await countDevices(db, `id==${deviceId};group==${group}`, nowMs)) > 0) groups.add(group);
  }
  return rows.flatMap((row) => {
    if (row.target_kind === 'group') return groups.has(row.target) ? [{ workload: row.name, by: row.target }] : [];
    return row.target === deviceId ? [{ workload: row.name, by: 'device' }] : [];
  });
}

function isOf(row: WorkloadDeclarationRow, target: WorkloadTarget): boolean {
  return row.target_kind === target.kind && row.target === target.name;
}

function viewOf(row: WorkloadDeclarationRow): DeclarationView {
  return {
    name: row.name,
    device: row.target_kind === 'device' ? row.target : null,
    group: row.target_kind === 'group' ? row.target : null,
    description: row.description,
    declaredAt: row.declared_at,
  };
}
