// A secure element whose tier nobody vouched for (spec/secure-element.md, "Whose keys"): it enrolled by its IDevID before manufacturers certified
// the keys beside it, so its keys may be in files. It keeps the tier, with an alert, until it enrolls again: an upgrade must not stop a fleet.
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import { noteTierVouched } from '../registry/device-notes.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';

const kind = 'tier-not-vouched';

/** Raises the alert about a device that attests with such a tier. */
export async function weighTier(
  trx: WriteTransaction,
  { id, tier, tier_vouched: vouched }: Pick<DeviceRecord, 'id' | 'tier' | 'tier_vouched'>,
  nowMs: number,
): Promise<void> {
  if (tier !== 'secure-element' || vouched !== null) return;
  await raiseAlert(trx, {
    kind,
    severity: 'high',
    subject: { deviceId: id },
    title: `${id} has the tier secure-element by its IDevID alone: nobody certified that its keys are in the element`,
    data: { tier },
    nowMs,
  });
}

/** A device enrolled; `vouched` is by what it has its tier. */
export async function noteTier(
  trx: WriteTransaction,
  deviceId: string,
  vouched: DeviceRecord['tier_vouched'],
  nowMs: number,
): Promise<void> {
  await noteTierVouched(trx, deviceId, vouched);
  const note = `${deviceId} enrolled again`;
  await settleAlert(trx, { kind, subject: { deviceId }, note, nowMs });
}
