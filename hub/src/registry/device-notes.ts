// What the hub notes of a device as it is seen, in the device's row.
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';

/** A request of the device was accepted. */
export async function noteSeen(trx: WriteTransaction, deviceId: string, nowMs: number): Promise<void> {
  await trx.updateTable('device').set({ seen_at: nowMs }).where('id', '=', deviceId).execute();
}

/** `counts` are JSON; those of the report before stay where it has none. */
export async function noteReport(
  trx: WriteTransaction,
  deviceId: string,
  { counts, nowMs }: { readonly counts: string | undefined; readonly nowMs: number },
): Promise<void> {
  const row = { seen_at: nowMs, ...(counts === undefined ? {} : { counts }) };
  await trx.updateTable('device').set(row).where('id', '=', deviceId).execute();
}

/** From where the device proved itself last, and with which certificate, where it has one. */
export async function notePlace(
  trx: WriteTransaction,
  deviceId: string,
  place: { readonly address: string; readonly serial?: string; readonly nowMs: number },
): Promise<void> {
  const { address, serial, nowMs } = place;
  const row = { bound_address: address, bound_at: nowMs, ...(serial === undefined ? {} : { bound_serial: serial }) };
  await trx.updateTable('device').set(row).where('id', '=', deviceId).execute();
}

export async function noteClockSkew(trx: WriteTransaction, deviceId: string, seconds: number): Promise<void> {
  await trx.updateTable('device').set({ clock_skew_seconds: seconds }).where('id', '=', deviceId).execute();
}

/** `guard` is the report as JSON. */
export async function noteGuard(trx: WriteTransaction, deviceId: string, guard: string): Promise<void> {
  await trx.updateTable('device').set({ guard }).where('id', '=', deviceId).execute();
}

interface AppraisedDevice {
  readonly deviceId: string;
  readonly nowMs: number;
  /** A lower count than the one known changes nothing. */
  readonly resetCount: number;
  readonly status: string;
  /** JSON. */
  readonly appraisal: string;
  /** Name and version of the reference values that its boot matches; null for none. */
  readonly booted: string | null;
}

export type Standing = Pick<
  DeviceRecord,
  'id' | 'state' | 'state_reason' | 'disabled_reason' | 'tier' | 'tier_vouched'
>;

/** Gives the state of the device; nothing for an unknown one. */
export const noteAppraisal = prepared<AppraisedDevice, Standing>((db, value) =>
  db
    .updateTable('device')
    .set((q) => ({
      seen_at: value('nowMs'),
      reset_count: q
        .case()
        .when('reset_count', '<', value('resetCount'))
        .then(value('resetCount'))
        .else(q.ref('reset_count'))
        .end(),
      attestation: value('status'),
      appraisal: value('appraisal'),
      appraised_at: value('nowMs'),
      booted: value('booted'),
    }))
    .where('id', '=', value('deviceId'))
    .returning(['id', 'state', 'state_reason', 'disabled_reason', 'tier', 'tier_vouched']),
);

/** The common name in the IDevID that the device proved; null without one. */
export async function noteProduct(trx: WriteTransaction, deviceId: string, product: string | null): Promise<void> {
  await trx.updateTable('device').set({ product }).where('id', '=', deviceId).execute();
}

/** By what a device has its tier; null for a tier that needs nobody's word. */
export async function noteTierVouched(
  trx: WriteTransaction,
  deviceId: string,
  vouched: DeviceRecord['tier_vouched'],
): Promise<void> {
  await trx.updateTable('device').set({ tier_vouched: vouched }).where('id', '=', deviceId).execute();
}
