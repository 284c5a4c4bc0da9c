// Disabling a device: its switch changes in one durable transaction (registry/enablement.ts), then its live connections are closed.
import { type DisableOrder, disableIn, enableIn, type SwitchOrder } from '../registry/enablement.ts';
import type { DisconnectDependencies } from './quarantine.ts';

export interface Switched {
  readonly deviceId: string;
  readonly enabled: boolean;
  readonly state: string;
  readonly connectionsClosed: number;
}

/** Voids the device's leases, closes its connections on every hub node and refuses it until `enableDevice`. */
export async function disableDevice(fleet: DisconnectDependencies, order: DisableOrder): Promise<Switched> {
  const { database, connections, witnesses, watch } = fleet;
  const { deviceId } = order;
  const state = await database.write((trx) => disableIn(trx, order));
  witnesses.remove(deviceId);
  const connectionsClosed = connections.cut(deviceId);
  // As with a quarantine: the watch has processed this order before the device reconnects and learns the reason.
  await watch.poll();
  return { deviceId, enabled: false, state, connectionsClosed };
}

/** Lets the device connect again, in the state it has. */
export async function enableDevice(
  { database }: Pick<DisconnectDependencies, 'database'>,
  order: SwitchOrder,
): Promise<Switched> {
  const state = await database.write((trx) => enableIn(trx, order));
  return { deviceId: order.deviceId, enabled: true, state, connectionsClosed: 0 };
}
