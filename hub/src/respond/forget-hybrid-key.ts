// Forgetting a device's hybrid key (spec/access.md, "Forgetting a hybrid key"): for a machine that has to run an agent which reads no hybrid wraps.
// Only operators ask for it, because it permits a lesser wrap. An agent that has the key names it again on its next connection.
import { sha256Hex } from '@edgekeep/core/digest';
import { hybridSuite } from '@edgekeep/core/identity/hybrid-hpke';
import { settleAlert } from '../alert/alerts.ts';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { recordChange } from '../registry/history.ts';
import { findHybridKey, forgetHybridKey } from '../registry/hybrid-keys.ts';
import { getDevice } from '../registry/states.ts';
import { announceDisconnects } from '../revocation/store.ts';
import type { DeviceStateOrder, DisconnectDependencies } from './quarantine.ts';

export interface ForgottenHybridKey {
  readonly deviceId: string;
  /** Of the key, hex. */
  readonly sha256: string;
  readonly connectionsClosed: number;
}

/** Closes the device's connections, so that its agent learns which key the hub has. Throws `conflict` for a device that has none. */
export async function forgetHybridKeyOf(
  { database, connections, watch }: Omit<DisconnectDependencies, 'witnesses'>,
  { deviceId, reason, actor, nowMs }: DeviceStateOrder,
): Promise<ForgottenHybridKey> {
  const sha256 = await database.write(async (trx) => {
    await getDevice(trx, deviceId);
    const key = await findHybridKey(trx, deviceId);
    if (key === undefined)
      throw new HubError('conflict', `${deviceId} has no hybrid key here: there is nothing to forget`);
    await forgetHybridKey(trx, deviceId);
    const digest = sha256Hex(key);
    const data = { suite: hybridSuite, sha256: digest, reason };
    const subject = `device:${deviceId}`;
    const logIndex = await appendEntry(trx, { at: nowMs, kind: 'hybrid-key-forgotten', actor, subject, data });
    const change = { from: 'hybrid-key', to: 'no-hybrid-key', reason, actor };
    await recordChange(trx, { deviceId, logIndex, at: nowMs, ...change });
    const note = 'an operator had the hub forget the hybrid key';
    await settleAlert(trx, { kind: 'key-wrap-downgraded', subject: { deviceId }, note, nowMs });
    await announceDisconnects(trx, [{ deviceId, serial: undefined }]);
    return digest;
  });
  const connectionsClosed = connections.cut(deviceId);
  // As with a quarantine: the watch has processed this order before the device reconnects.
  await watch.poll();
  return { deviceId, sha256, connectionsClosed };
}
