// A device that lost its witness key and cosigns by another one (spec/agent.md, "A lost file").
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { takeWitnessKey } from './witness-keys.ts';

/** Of one enrollment. Each is a line of the trust file, which everybody reads whole. */
const FORMER_KEYS_MAX = 16;

/**
 * The device cosigns by `next` from now on: the line of its present key ends now, and receipts of before keep verifying. Throws
 * `renewal-refused` for a device that has replaced its key too often.
 */
export async function endWitnessKey(
  trx: WriteTransaction,
  device: Pick<DeviceRecord, 'id' | 'tier' | 'witness_key' | 'enrolled_at'>,
  next: string,
  nowMs: number,
): Promise<void> {
  const { id, tier, witness_key } = device;
  await takeWitnessKey(trx, next, id);
  if (witness_key !== '') {
    const { last, ofThis } = await trx
      .selectFrom('former_witness_key')
      .select((q) => [
        q.fn.max('number').as('last'),
        q.fn.countAll<number>().filterWhere('ended_at', '>=', device.enrolled_at).as('ofThis'),
      ])
      .where('device_id', '=', id)
      .executeTakeFirstOrThrow();
    if (ofThis >= FORMER_KEYS_MAX) throw usedUp(id);
    const row = { device_id: id, number: (last ?? 0) + 1, tier, witness_key, ended_at: nowMs };
    await trx.insertInto('former_witness_key').values(row).execute();
  }
  await trx.updateTable('device').set({ witness_key: next }).where('id', '=', id).execute();
}

function usedUp(id: string): HubError {
  const message = `${id} has replaced its witness key ${FORMER_KEYS_MAX} times since it enrolled: find out why it loses its state, then wipe it, and it enrolls again`;
  return new HubError('renewal-refused', message, { reasons: [{ code: 'witness-keys-used-up', message }] });
}
