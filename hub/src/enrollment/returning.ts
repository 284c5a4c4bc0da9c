// Wiped devices that return (spec/reonboarding.md): the same hardware, or a replacement that an operator ordered, proves itself again and
// gets another identity under its old id. Every earlier identity stays refused.
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import { renewDevice } from '../registry/device-row.ts';
import { findDevice } from '../registry/states.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord, DeviceRow } from '../store/tables/registry.ts';
import type { ShownToken } from './shown-token.ts';

export interface ReturningCandidate {
  readonly deviceId: string;
  readonly tier: string;
  /** SHA-256 of its root of trust's SPKI, hex. */
  readonly rootSha256: string;
}

/**
 * The wiped device that returns; undefined for a new one. Throws `enrollment-refused` when the id or the root of trust belongs to another
 * device.
 */
export async function findReturning(
  db: Kysely<Tables>,
  newcomer: ReturningCandidate,
): Promise<DeviceRecord | undefined> {
  const { deviceId, rootSha256 } = newcomer;
  const device = await findDevice(db, deviceId);
  if (device !== undefined && device.state !== 'wiped')
    throw refused('device-id-taken', `${deviceId} is enrolled already`);
  const owner = await db.selectFrom('device').select('id').where('root_sha256', '=', rootSha256).executeTakeFirst();
  if (owner !== undefined && owner.id !== deviceId)
    throw refused('root-of-trust-taken', `this root of trust is enrolled already, as ${owner.id}`);
  if (device !== undefined) assertRightHardware(device, newcomer);
  return device;
}

// A maker vouches for this root of trust, and it survives a wipe.
const keepsRoot = (tier: string): boolean => tier === 'tpm' || tier === 'dice';

/**
 * Whether the device itself shows that the hardware is present. Anybody who held the firmware can copy the keys of DICE's layers, and the
 * firmware of a wiped device was suspect: there a token is needed instead.
 */
export const provesHardware = (tier: string): boolean => tier === 'tpm';

// A key in a file is new after a wipe, and a token replaces it as proof. Hardware stays the same unless an operator orders otherwise.
function assertRightHardware(device: DeviceRecord, { tier, rootSha256 }: ReturningCandidate): void {
  const { id, next_root_sha256: ordered } = device;
  if (ordered !== null) {
    if (ordered === rootSha256) return;
    throw refused(
      'root-of-trust-differs',
      `${id} must return with the root of trust that an operator named: ${ordered}`,
    );
  }
  // What an element proves about its keys is decided later: one that was registered with keys in files may prove more now.
  const sameTier = tier === device.tier || (tier === 'secure-element' && device.tier === 'software');
  if (sameTier && (!keepsRoot(tier) || rootSha256 === device.root_sha256)) return;
  const message = `${id} was wiped and must return with its own root of trust (${device.tier}): \`edgekeep device replace-root\` accepts another`;
  throw refused('root-of-trust-differs', message);
}

/**
 * Throws `enrollment-refused` for a root of trust of an identity that ended, unless an operator expects it (`expected`) and it is hardware.
 */
export async function assertRootNotFormer(
  db: Kysely<Tables>,
  { deviceId, tier, rootSha256 }: ReturningCandidate,
  expected: boolean,
): Promise<void> {
  const rows = await db
    .selectFrom('former_identity')
    .select(['device_id', 'tier'])
    .where('root_sha256', '=', rootSha256)
    .execute();
  if (rows.length > 0 && tier === 'software')
    throw refused('root-of-trust-wiped', 'this key was on a disk that was wiped: start with an empty state folder');
  const other = rows.find((row) => row.device_id !== deviceId);
  if (other !== undefined && !rows.some((row) => row.device_id === deviceId) && !expected) {
    const message = `this root of trust belonged to ${other.device_id}: import it as ${deviceId} if it is meant to be`;
    throw refused('root-of-trust-taken', message);
  }
}

/** A root of trust that cannot show where it is needs a token that was made for it after the wipe. */
export async function assertFreshToken(
  db: Kysely<Tables>,
  device: DeviceRecord,
  token: ShownToken | undefined,
): Promise<void> {
  const { ended_at: wipedAt } = await db
    .selectFrom('former_identity')
    .select('ended_at')
    .where('device_id', '=', device.id)
    .where('generation', '=', device.generation)
    .executeTakeFirstOrThrow();
  if (token?.kind === 'one-time' && token.deviceId === device.id && token.createdAt >= wipedAt) return;
  const message = `${device.id} was wiped: it needs a token made for it after that, \`edgekeep enroll token --device ${device.id}\``;
  throw refused('token-not-fresh', message);
}

/** What a device was before it was wiped, newest first. */
export async function formerIdentitiesOf(db: Kysely<Tables>, deviceId: string, maxListed: number) {
  return db
    .selectFrom('former_identity')
    .select([
      'generation as incarnation',
      'tier',
      'root_sha256 as rootSha256',
      'enrolled_at as enrolledAt',
      'ended_at as endedAt',
      'reason',
    ])
    .where('device_id', '=', deviceId)
    .orderBy('generation', 'desc')
    .limit(maxListed)
    .execute();
}

/** Devices that had this root of trust before and ended: the same hardware under another id. */
export async function formerDevicesOf(db: Kysely<Tables>, rootSha256: string, deviceId: string, maxListed: number) {
  return db
    .selectFrom('former_identity')
    .select(['device_id as deviceId', 'generation as incarnation', 'ended_at as endedAt'])
    .where('root_sha256', '=', rootSha256)
    .where('device_id', '!=', deviceId)
    .orderBy('ended_at', 'desc')
    .limit(maxListed)
    .execute();
}

/** Gives the wiped device its next identity. */
export async function beginIncarnation(trx: WriteTransaction, before: DeviceRecord, row: DeviceRow): Promise<void> {
  if (await renewDevice(trx, before, row)) return;
  throw refused('device-id-taken', `${before.id} has enrolled again in the meantime`);
}

function refused(code: string, message: string): HubError {
  return new HubError('enrollment-refused', message, { reasons: [{ code, message }] });
}
