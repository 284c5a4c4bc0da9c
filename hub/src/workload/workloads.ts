// Workloads on one device: their list, their own switch, and their history (spec/workload.md).
import { workloadSpiffeId } from '@edgekeep/core/identity/spiffe-id';
import type { DeviceWorkloadView } from '@edgekeep/wire/api/workload';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { getDevice } from '../registry/states.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { WorkloadHistoryRow } from '../store/tables/workload.ts';
import { declaredFor } from './declarations.ts';
import { recordWorkloadChange, revokeWorkloads, type WorkloadOnDevice } from './revoke.ts';

const CHANGES_MAX = 200;

/** Everything that is or was declared for the device. */
export async function workloadsOf(
  database: Database,
  deviceId: string,
  { trustDomain, nowMs }: { readonly trustDomain: string; readonly nowMs: number },
): Promise<readonly DeviceWorkloadView[]> {
  const { read } = database;
  await getDevice(read, deviceId);
  const declared = await declaredFor(read, deviceId, nowMs);
  const known = await read.selectFrom('workload').selectAll().where('device_id', '=', deviceId).execute();
  const standing = await read
    .selectFrom('certificate')
    .select((q) => ['workload', q.fn.max('not_after').as('notAfter')])
    .where('device_id', '=', deviceId)
    .where('workload', 'is not', null)
    .where('revoked_at', 'is', null)
    .where('not_after', '>', nowMs)
    .groupBy('workload')
    .execute();
  const names = new Set([...declared.map(({ workload }) => workload), ...known.map(({ name }) => name)]);
  return [...names].toSorted().map((name) => {
    const row = known.find((each) => each.name === name);
    return {
      name,
      spiffeId: workloadSpiffeId({ trustDomain, deviceId, workload: name }),
      declaredFor: declared.filter(({ workload }) => workload === name).map(({ by }) => by),
      enabled: (row?.disabled_reason ?? null) === null,
      disabledReason: row?.disabled_reason ?? null,
      registeredAt: row?.registered_at ?? null,
      certificateNotAfter: standing.find(({ workload }) => workload === name)?.notAfter ?? null,
    };
  });
}

interface SwitchOrder extends WorkloadOnDevice {
  readonly actor: string;
  readonly nowMs: number;
}

/** Revokes the valid certificates and issues no more until `enableWorkload`. Returns their number. */
export async function disableWorkload(
  database: Database,
  order: SwitchOrder & { readonly reason: string },
): Promise<number> {
  const { deviceId, workload, reason, actor, nowMs } = order;
  return database.write(async (trx) => {
    await assertKnown(trx, order);
    await keepSwitch(trx, order, reason);
    const certificatesRevoked = await revokeWorkloads(trx, order, { reason: 'privilegeWithdrawn', nowMs });
    const data = { workload, reason, certificatesRevoked };
    const subject = `device:${deviceId}`;
    const logIndex = await appendEntry(trx, { at: nowMs, kind: 'workload-disabled', actor, subject, data });
    await recordWorkloadChange(trx, order, { change: 'disabled', reason, logIndex, actor, nowMs });
    return certificatesRevoked;
  });
}

export async function enableWorkload(database: Database, order: SwitchOrder): Promise<void> {
  const { deviceId, workload, actor, nowMs } = order;
  await database.write(async (trx) => {
    await assertKnown(trx, order);
    await keepSwitch(trx, order, null);
    const subject = `device:${deviceId}`;
    const logIndex = await appendEntry(trx, {
      at: nowMs,
      kind: 'workload-enabled',
      actor,
      subject,
      data: { workload },
    });
    await recordWorkloadChange(trx, order, { change: 'enabled', reason: '', logIndex, actor, nowMs });
  });
}

/** Newest changes first. */
export async function workloadChanges(
  database: Database,
  { deviceId, workload }: WorkloadOnDevice,
): Promise<readonly WorkloadHistoryRow[]> {
  return database.read
    .selectFrom('workload_history')
    .selectAll()
    .where('device_id', '=', deviceId)
    .where('name', '=', workload)
    .orderBy('log_index', 'desc')
    .limit(CHANGES_MAX)
    .execute();
}

async function assertKnown(trx: WriteTransaction, { deviceId, workload, nowMs }: SwitchOrder): Promise<void> {
  await getDevice(trx, deviceId);
  const row = await trx
    .selectFrom('workload')
    .select('name')
    .where('device_id', '=', deviceId)
    .where('name', '=', workload)
    .executeTakeFirst();
  if (row === undefined && (await declaredFor(trx, deviceId, nowMs, workload)).length === 0)
    throw new HubError(
      'not-found',
      `no workload ${workload} on ${deviceId}: \`edgekeep workload list --device ${deviceId}\``,
    );
}

async function keepSwitch(
  trx: WriteTransaction,
  { deviceId, workload }: WorkloadOnDevice,
  reason: string | null,
): Promise<void> {
  await trx
    .insertInto('workload')
    .values({ device_id: deviceId, name: workload, registered_at: null, disabled_reason: reason })
    .onConflict((conflict) => conflict.columns(['device_id', 'name']).doUpdateSet({ disabled_reason: reason }))
    .execute();
}
