// Switching a device off and on again: an operator's switch, separate from the device's state. While it is off the device is refused like a
// quarantined one. Switched on again, it has its old state and must attest before it gets a key.
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { announceDisconnects, revokeWorkloadsOf } from '../revocation/store.ts';
import { voidLeases } from '../revocation/leases.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { recordChange } from './history.ts';
import { getDevice } from './states.ts';

export interface SwitchOrder {
  readonly deviceId: string;
  readonly actor: string;
  readonly nowMs: number;
}

export type DisableOrder = SwitchOrder & { readonly reason: string };

/**
 * Voids the device's leases and refuses it until `enableIn`. The caller then closes the connections of this node; other nodes are notified.
 * Returns the device's state.
 */
export async function disableIn(trx: WriteTransaction, order: DisableOrder): Promise<string> {
  const { deviceId, reason, actor, nowMs } = order;
  const device = await getDevice(trx, deviceId);
  if (device.state === 'retired') throw new HubError('conflict', `${deviceId} is retired: there is nothing to disable`);
  if (device.disabled_reason !== null) return device.state;
  await trx.updateTable('device').set({ disabled_reason: reason }).where('id', '=', deviceId).execute();
  const leasesRevoked = await voidLeases(trx, [deviceId], nowMs);
  await revokeWorkloadsOf(trx, [deviceId], { reason: 'privilegeWithdrawn', nowMs });
  const data = { reason, leasesRevoked };
  const subject = `device:${deviceId}`;
  const logIndex = await appendEntry(trx, { at: nowMs, kind: 'device-disabled', actor, subject, data });
  await recordChange(trx, { deviceId, logIndex, at: nowMs, from: 'enabled', to: 'disabled', reason, actor });
  await announceDisconnects(trx, [{ deviceId, serial: undefined }]);
  return device.state;
}

/** Lets the device connect again, in the state it has. */
export async function enableIn(trx: WriteTransaction, order: SwitchOrder): Promise<string> {
  const { deviceId, actor, nowMs } = order;
  const device = await getDevice(trx, deviceId);
  if (device.disabled_reason === null) return device.state;
  await trx.updateTable('device').set({ disabled_reason: null }).where('id', '=', deviceId).execute();
  const subject = `device:${deviceId}`;
  const logIndex = await appendEntry(trx, { at: nowMs, kind: 'device-enabled', actor, subject, data: {} });
  await recordChange(trx, { deviceId, logIndex, at: nowMs, from: 'disabled', to: 'enabled', reason: '', actor });
  return device.state;
}

/** Throws `device-disabled` for a device that is switched off. */
export function assertEnabled({ disabled_reason: reason }: Pick<DeviceRecord, 'disabled_reason'>): void {
  if (reason !== null) throw new HubError('device-disabled', `this device is disabled: ${reason}`);
}

/** Throws the error for a device that may not connect: `device-disabled`, `device-quarantined` (also when wiped) or `device-retired`. */
export function assertNotCutOff(device: Pick<DeviceRecord, 'state' | 'state_reason' | 'disabled_reason'>): void {
  const { state, state_reason: reason } = device;
  assertEnabled(device);
  if (state === 'quarantined') throw new HubError('device-quarantined', `this device is quarantined: ${reason}`);
  if (state === 'wiped') {
    const next = 'with an empty state folder it enrolls again';
    throw new HubError('device-quarantined', `this device was wiped (${reason}): ${next}`);
  }
  if (state === 'retired') throw new HubError('device-retired', 'this device is retired');
}
