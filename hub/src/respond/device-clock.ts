// The clock offset of a device, as the device measured it against this hub: stored, and an alert while it exceeds the setting.
import { noteClockSkew } from '../registry/device-notes.ts';
import type { WriteTransaction } from '../store/database.ts';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';

export async function recordClockSkew(
  trx: WriteTransaction,
  { deviceId, skewSeconds, nowMs }: { readonly deviceId: string; readonly skewSeconds: number; readonly nowMs: number },
  maxSeconds: number,
): Promise<void> {
  const { before } = await trx
    .selectFrom('device')
    .select('clock_skew_seconds as before')
    .where('id', '=', deviceId)
    .executeTakeFirstOrThrow();
  if (before === skewSeconds) return;
  await noteClockSkew(trx, deviceId, skewSeconds);
  const wasOff = Math.abs(before ?? 0) > maxSeconds;
  const isOff = Math.abs(skewSeconds) > maxSeconds;
  if (wasOff === isOff) return;
  const about = { kind: 'device-clock', subject: { deviceId }, nowMs } as const;
  if (!isOff) {
    await settleAlert(trx, { ...about, note: 'its clock is right again' });
    return;
  }
  const direction = skewSeconds > 0 ? 'ahead of' : 'behind';
  await raiseAlert(trx, {
    ...about,
    severity: 'medium',
    title: `the clock of ${deviceId} is ${Math.abs(skewSeconds)} s ${direction} the hub's`,
    data: { skewSeconds, maxSeconds },
    actor: `device:${deviceId}`,
  });
}
