// Wiping a device (spec/reonboarding.md): its identity here ends permanently, its record stays. After that it enrolls again or retires.
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { announceDisconnects, revokeOfDevices } from '../revocation/store.ts';
import { forgetKnownKeyList } from '../authority/known-key-lists.ts';
import { forgetKnownRoot } from '../authority/known-roots.ts';
import { forgetProofs, setNextRoot } from '../registry/device-row.ts';
import { recordChange } from '../registry/history.ts';
import { changeState, getDevice, tokenTier } from '../registry/states.ts';
import { forgetWitnessed } from '../registry/witnessed.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import type { DisconnectResult, DisconnectDependencies, DeviceStateOrder } from './quarantine.ts';

/** Ends the identity of a quarantined device: certificates, leases, witness key, reported data. The device returns only by enrolling. */
export async function wipeDevice(fleet: DisconnectDependencies, order: DeviceStateOrder): Promise<DisconnectResult> {
  const { database, connections, witnesses, watch } = fleet;
  const { deviceId, reason, nowMs } = order;
  await database.write(async (trx) => {
    const device = await getDevice(trx, deviceId);
    if (device.tier === tokenTier)
      throw new HubError('conflict', `${deviceId} has only a secret: \`edgekeep token-device roll ${deviceId}\``);
    if (device.state === 'wiped') return;
    await revokeOfDevices(trx, [deviceId], { reason: 'cessationOfOperation', nowMs });
    await changeState(trx, { ...order, to: 'wiped' });
    await keepIdentity(trx, device, reason, nowMs);
    await forgetProofs(trx, deviceId);
    await forgetWitnessed(trx, deviceId);
    // It begins again with the root of this hub that it is delivered with.
    await forgetKnownRoot(trx, deviceId);
    await forgetKnownKeyList(trx, deviceId);
    await announceDisconnects(trx, [{ deviceId, serial: undefined }]);
  });
  witnesses.remove(deviceId);
  const connectionsClosed = connections.cut(deviceId);
  await watch.poll();
  return { deviceId, state: 'wiped', connectionsClosed };
}

async function keepIdentity(trx: WriteTransaction, device: DeviceRecord, reason: string, nowMs: number): Promise<void> {
  const { id, generation, tier, identity, root_sha256, witness_key, enrolled_at } = device;
  await trx
    .insertInto('former_identity')
    .values({
      device_id: id,
      generation,
      tier,
      identity,
      root_sha256,
      witness_key,
      enrolled_at,
      ended_at: nowMs,
      reason,
    })
    .execute();
}

/** Lets a wiped device return with another root of trust, after its board or TPM was replaced. */
export async function replaceRootOfTrust(
  database: Database,
  order: DeviceStateOrder & { readonly rootSha256: string },
): Promise<{ readonly deviceId: string; readonly state: string; readonly rootSha256: string }> {
  const { deviceId, rootSha256, reason, actor, nowMs } = order;
  return database.write(async (trx) => {
    const device = await getDevice(trx, deviceId);
    if (device.state !== 'wiped')
      throw new HubError(
        'conflict',
        `${deviceId} is ${device.state}: quarantine and wipe it first, which ends the old root of trust`,
      );
    await assertMayFollow(trx, deviceId, rootSha256);
    await setNextRoot(trx, deviceId, rootSha256);
    const was = device.next_root_sha256 ?? device.root_sha256;
    const subject = `device:${deviceId}`;
    const data = { from: was, to: rootSha256, reason };
    const logIndex = await appendEntry(trx, { at: nowMs, kind: 'root-of-trust-replaced', actor, subject, data });
    const change = { from: `root ${was.slice(0, 16)}`, to: `root ${rootSha256.slice(0, 16)}`, reason, actor };
    await recordChange(trx, { deviceId, logIndex, at: nowMs, ...change });
    return { deviceId, state: device.state, rootSha256 };
  });
}

async function assertMayFollow(trx: WriteTransaction, deviceId: string, rootSha256: string): Promise<void> {
  const blocked = await trx
    .selectFrom('blocked_root')
    .select('reason')
    .where('root_sha256', '=', rootSha256)
    .executeTakeFirst();
  if (blocked !== undefined) throw new HubError('conflict', `this root of trust is blocked: ${blocked.reason}`);
  for (const table of ['device', 'expected_device'] as const) {
    const owner = await trx.selectFrom(table).select('id').where('root_sha256', '=', rootSha256).executeTakeFirst();
    if (owner !== undefined && owner.id !== deviceId)
      throw new HubError('conflict', `this root of trust belongs to ${owner.id}`);
  }
}
