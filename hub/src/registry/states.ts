// The device registry: what is known about each device and its state. Every change of state is one transaction with its audit entry.
import { sha256Hex } from '@edgekeep/core/digest';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { forgetIdevid, incarnationOf } from './device-row.ts';
import { recordChange } from './history.ts';
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord, DeviceState } from '../store/tables/registry.ts';
import { announceDisconnects, revokeOfDevices, revokeWorkloadsOf, witnessOnly } from '../revocation/store.ts';
import { voidLeases } from '../revocation/leases.ts';

/** The tier of a device without any root of trust: below `software`, never attested. */
export const tokenTier = 'token';

/**
 * The states that may follow each state by an order or an appraisal. `retired` is final; a wiped device becomes `registered` only by
 * enrolling.
 */
const transitions: Readonly<Record<DeviceState, readonly DeviceState[]>> = {
  registered: ['active', 'suspect', 'quarantined', 'retired'],
  active: ['suspect', 'quarantined', 'retired'],
  suspect: ['active', 'quarantined', 'retired'],
  quarantined: ['active', 'wiped', 'retired'],
  wiped: ['retired'],
  retired: [],
};

export interface StateChange {
  readonly deviceId: string;
  readonly to: DeviceState;
  readonly reason: string;
  readonly actor: string;
  readonly nowMs: number;
}

export async function findDevice(db: Kysely<Tables>, deviceId: string): Promise<DeviceRecord | undefined> {
  const [device] = await deviceById(db, { deviceId });
  return device;
}

const deviceById = prepared<{ deviceId: string }, DeviceRecord>((db, value) =>
  db.selectFrom('device').selectAll().where('id', '=', value('deviceId')),
);

/** The device; otherwise throws `not-found` with what to do next. */
export async function getDevice(db: Kysely<Tables>, deviceId: string): Promise<DeviceRecord> {
  return (await findDevice(db, deviceId)) ?? noDevice(deviceId);
}

export function noDevice(deviceId: string): never {
  throw new HubError('not-found', `no device ${deviceId}: \`edgekeep device list\` shows all`);
}

/** Moves a device to another state and records why. Leaving a healthy state voids its leases in the same transaction. */
export async function changeState(trx: WriteTransaction, change: StateChange): Promise<DeviceRecord> {
  const { deviceId, to, reason, actor, nowMs } = change;
  const device = await getDevice(trx, deviceId);
  if (device.state === to) return device;
  if (!transitions[device.state].includes(to)) {
    const hint = device.state === 'wiped' ? '; it returns by enrolling again' : '';
    throw new HubError('conflict', `${deviceId} is ${device.state}: it cannot become ${to}${hint}`);
  }
  await trx.updateTable('device').set({ state: to, state_reason: reason }).where('id', '=', deviceId).execute();
  const leases = to === 'active' ? 0 : await voidLeases(trx, [deviceId], nowMs);
  if (to === 'retired') await revokeOfDevices(trx, [deviceId], { reason: 'cessationOfOperation', nowMs });
  if (to === 'retired' && device.state === 'wiped') await giveUpRoot(trx, device);
  if (to === 'quarantined' || to === 'wiped') {
    await revokeWorkloadsOf(trx, [deviceId], { reason: 'privilegeWithdrawn', nowMs });
  }
  if (to === 'suspect') await endTrust(trx, deviceId, nowMs);
  const logIndex = await appendEntry(trx, {
    at: nowMs,
    kind: `device-${to}`,
    actor,
    subject: `device:${deviceId}`,
    data: { from: device.state, reason, leasesRevoked: leases },
  });
  await recordChange(trx, { deviceId, logIndex, at: nowMs, from: device.state, to, reason, actor });
  return { ...device, state: to, state_reason: reason };
}

// The device stays connected, to attest another boot; every node cuts off its workloads and ends it as a witness.
async function endTrust(trx: WriteTransaction, deviceId: string, nowMs: number): Promise<void> {
  const ended = await revokeWorkloadsOf(trx, [deviceId], { reason: 'privilegeWithdrawn', nowMs });
  await announceDisconnects(trx, [...ended, { deviceId, serial: witnessOnly }]);
}

/** For an order with one audit entry for all: the caller writes it, the history, and ends their leases and certificates. */
export async function quarantineMany(trx: WriteTransaction, ids: readonly string[], reason: string): Promise<void> {
  const state = { state: 'quarantined', state_reason: reason } as const;
  await trx.updateTable('device').set(state).where('id', 'in', ids).execute();
}

// The former identities still name the device that had this root of trust; an import decides which device gets it next
// (spec/reonboarding.md, "Another id").
async function giveUpRoot(trx: WriteTransaction, device: DeviceRecord): Promise<void> {
  const { id } = device;
  const nobodys = sha256Hex(`retired ${id} ${incarnationOf(device)}`);
  await trx.updateTable('device').set({ root_sha256: nobodys, next_root_sha256: null }).where('id', '=', id).execute();
  await trx.updateTable('expected_device').set({ root_sha256: null }).where('id', '=', id).execute();
  await trx.deleteFrom('enrolment_listing').where('device_id', '=', id).execute();
  await forgetIdevid(trx, id);
}
