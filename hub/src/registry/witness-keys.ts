// Witness keys that devices have, or had before a wipe. One key must not cosign as two devices: every reader of the trust file, and so of
// every receipt, would refuse it. A key that was on a wiped disk, or that its device lost, must not cosign again.
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from '../store/database.ts';

/** Devices with the same origin count as one witness. Empty: the device counts for itself. */
export async function setWitnessOrigin(trx: WriteTransaction, deviceId: string, origin: string): Promise<void> {
  await trx.updateTable('device').set({ witness_origin: origin }).where('id', '=', deviceId).execute();
}

/**
 * Keeps the key for this device. Throws `enrollment-refused` when it is or was the key of any device. `text` is a verifier key, or two of
 * one witness, that was parsed.
 */
export async function takeWitnessKey(trx: WriteTransaction, text: string, deviceId: string): Promise<void> {
  for (const one of text.split(' ')) await takeKey(trx, one, deviceId);
}

async function takeKey(trx: WriteTransaction, text: string, deviceId: string): Promise<void> {
  // name+identifier+key: one key can have several names.
  const key = text.split('+').slice(2).join('+');
  const other = await trx.selectFrom('witness_key').select('device_id').where('key', '=', key).executeTakeFirst();
  if (other !== undefined) {
    const message = `this witness key is or was the one of ${other.device_id}: a device makes a new one to enroll`;
    throw new HubError('enrollment-refused', message, { reasons: [{ code: 'witness-key-taken', message }] });
  }
  await trx.insertInto('witness_key').values({ key, device_id: deviceId }).execute();
}
