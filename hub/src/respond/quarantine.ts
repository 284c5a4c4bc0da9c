// Cutting a device off: its state and leases change in one durable transaction, then its live connections are closed. In this order, so
// that a device that reconnects at once is already refused.
import { settleAlert } from '../alert/alerts.ts';
import type { CosignatureCollector } from '../audit/witness.ts';
import type { Connections } from '../presence/connections.ts';
import { changeState } from '../registry/states.ts';
import { announceDisconnects } from '../revocation/store.ts';
import type { RevocationWatch } from '../revocation/watch.ts';
import type { Database } from '../store/database.ts';
import type { DeviceState } from '../store/tables/registry.ts';

export interface DisconnectResult {
  readonly deviceId: string;
  readonly state: DeviceState;
  readonly connectionsClosed: number;
}

export interface DeviceStateOrder {
  readonly deviceId: string;
  readonly reason: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** The parts that cutting a device off touches. */
export interface DisconnectDependencies {
  readonly database: Database;
  readonly connections: Pick<Connections, 'cut'>;
  readonly witnesses: Pick<CosignatureCollector, 'remove'>;
  readonly watch: Pick<RevocationWatch, 'poll'>;
}

/** Refuses keys and closes connections until `releaseFromQuarantine`. */
export async function quarantineDevice(
  fleet: DisconnectDependencies,
  order: DeviceStateOrder,
): Promise<DisconnectResult> {
  return cutOff(fleet, order, 'quarantined');
}

/** Ends the device permanently: its certificates are revoked, and this identity cannot return. */
export async function retireDevice(fleet: DisconnectDependencies, order: DeviceStateOrder): Promise<DisconnectResult> {
  return cutOff(fleet, order, 'retired');
}

async function cutOff(
  { database, connections, witnesses, watch }: DisconnectDependencies,
  order: DeviceStateOrder,
  to: 'quarantined' | 'retired',
): Promise<DisconnectResult> {
  const device = await database.write(async (trx) => {
    const changed = await changeState(trx, { ...order, to });
    // For the other nodes: this device may be connected to any of them.
    await announceDisconnects(trx, [{ deviceId: changed.id, serial: undefined }]);
    return changed;
  });
  witnesses.remove(device.id);
  const connectionsClosed = connections.cut(device.id);
  // The watch must process this order now, and not after the device has reconnected to learn the reason, or was let back.
  await watch.poll();
  return { deviceId: device.id, state: device.state, connectionsClosed };
}

/** Lets a quarantined device back; it must attest before it gets any key. */
export async function releaseFromQuarantine(database: Database, order: DeviceStateOrder): Promise<DeviceState> {
  const { deviceId, nowMs } = order;
  const device = await database.write(async (trx) => {
    // A boot that is refused after this is another cause.
    const note = 'the device was released by an operator';
    await settleAlert(trx, { kind: 'boot-refused', subject: { deviceId }, note, nowMs });
    return changeState(trx, { ...order, to: 'active' });
  });
  return device.state;
}
