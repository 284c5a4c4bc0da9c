// The row of a device: who else wants it changed asks here, within the transaction of the cause.
import { assertNoHost } from '../store/hub-names.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceIdevidRow, DeviceRecord, DeviceRow } from '../store/tables/registry.ts';

/** Which of its identities a device has: 1, and one more each time it enrolled again after a wipe; 0 for none. The column is `generation`. */
export function incarnationOf(device: Pick<DeviceRecord, 'generation'> | undefined): number {
  return device?.generation ?? 0;
}

/** A device that enrolls for the first time. Throws `name-reserved` for the id of a host. */
export async function addDevice(trx: WriteTransaction, row: DeviceRow): Promise<void> {
  await assertNoHost(trx, 'device', row.id);
  await trx.insertInto('device').values(row).execute();
}

/** The next identity of a wiped device. False when it has enrolled meanwhile. */
export async function renewDevice(trx: WriteTransaction, before: DeviceRecord, row: DeviceRow): Promise<boolean> {
  const { id, ...columns } = row;
  const { numUpdatedRows } = await trx
    .updateTable('device')
    .set({ ...columns, generation: before.generation + 1, next_root_sha256: null, attestation: 'none' })
    .where('id', '=', id)
    .where('state', '=', 'wiped')
    .where('generation', '=', before.generation)
    .executeTakeFirst();
  return Number(numUpdatedRows) === 1;
}

/** Of a wiped device: its witness key, what it proved and what it reported. A TPM that is cleared counts its resets from 0 again. */
export async function forgetProofs(trx: WriteTransaction, deviceId: string): Promise<void> {
  await trx.deleteFrom('device_document').where('device_id', '=', deviceId).where('side', '=', 'reported').execute();
  await trx.deleteFrom('device_attribute').where('device_id', '=', deviceId).where('side', '=', 'reported').execute();
  await trx
    .updateTable('device')
    .set({
      witness_key: '',
      reset_count: -1,
      attestation: 'none',
      appraisal: null,
      appraised_at: null,
      booted: null,
      counts: null,
      next_root_sha256: null,
    })
    .where('id', '=', deviceId)
    .execute();
}

/** The root of trust with which a wiped device comes back; an import that names the former one follows. */
export async function setNextRoot(trx: WriteTransaction, deviceId: string, rootSha256: string): Promise<void> {
  await trx.updateTable('device').set({ next_root_sha256: rootSha256 }).where('id', '=', deviceId).execute();
  await trx
    .updateTable('expected_device')
    .set({ root_sha256: rootSha256 })
    .where('id', '=', deviceId)
    .where('root_sha256', 'is not', null)
    .execute();
}

export async function setEnrollmentGroup(trx: WriteTransaction, deviceId: string, name: string): Promise<void> {
  await trx.updateTable('device').set({ enrolment_group: name }).where('id', '=', deviceId).execute();
}

/** The IDevID that a device has proven (spec/manufacture.md): one at most. */
export async function replaceIdevid(trx: WriteTransaction, row: DeviceIdevidRow): Promise<void> {
  await forgetIdevid(trx, row.device_id);
  await trx.insertInto('device_idevid').values(row).execute();
}

/** For a device that returns as a new identity without an IDevID. */
export async function forgetIdevid(trx: WriteTransaction, deviceId: string): Promise<void> {
  await trx.deleteFrom('device_idevid').where('device_id', '=', deviceId).execute();
}
