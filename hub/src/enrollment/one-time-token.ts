// One-time enrollment tokens: a random text that an operator gives to one device. Stored as a SHA-256, valid once, until it expires.
import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { sha256Hex } from '@edgekeep/core/digest';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Maker } from '../people/maker.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { EnrollmentTokenRow } from '../store/tables/enrollment.ts';
import { endOf, tokenStateOf } from './token-life.ts';

export interface EnrollmentTokenOrder {
  /** The only device id that this token may enroll; left out: any. */
  readonly deviceId: string | undefined;
  /** The only tier that it may enroll; left out: any. */
  readonly tier: string | undefined;
  readonly lifeSeconds: number;
  /** The token ends with it. */
  readonly maker: Maker;
  readonly actor: string;
  readonly nowMs: number;
}

export async function createEnrollmentToken(
  database: Database,
  order: EnrollmentTokenOrder,
): Promise<{ readonly token: string; readonly expiresAt: number }> {
  const text = `ee_${randomBytes(24).toString('base64url')}`;
  const { deviceId, tier, actor, nowMs, maker } = order;
  const expiresAtMs = endOf(maker, order);
  const sha256 = sha256Hex(text);
  await database.write(async (trx) => {
    await trx
      .insertInto('enrolment_token')
      .values({
        sha256,
        device_id: deviceId ?? null,
        tier: tier ?? null,
        created_at: nowMs,
        expires_at: expiresAtMs,
        used_by: null,
        made_by: maker.tokenSha256,
        revoked_at: null,
      })
      .execute();
    const data = { token: sha256.slice(0, 16), tier, expiresAt: expiresAtMs };
    await appendEntry(trx, {
      at: nowMs,
      kind: 'enrolment-token-created',
      actor,
      subject: deviceId === undefined ? 'any-device' : `device:${deviceId}`,
      data,
    });
  });
  return { token: text, expiresAt: expiresAtMs };
}

/** The token's row when it may enroll this device now. All refusals have one message, so that guessing reveals nothing. */
export async function findEnrollmentToken(
  db: Kysely<Tables>,
  text: string | undefined,
  device: { readonly deviceId: string; readonly tier: string; readonly nowMs: number },
): Promise<EnrollmentTokenRow> {
  const row =
    text === undefined
      ? undefined
      : await db.selectFrom('enrolment_token').selectAll().where('sha256', '=', sha256Hex(text)).executeTakeFirst();
  const fits =
    row !== undefined &&
    (await tokenStateOf(db, row, device.nowMs)) === 'usable' &&
    (row.device_id === null || row.device_id === device.deviceId) &&
    (row.tier === null || row.tier === device.tier);
  if (!fits) throw tokenUnfit();
  return row;
}

/** The refusal for every text that is not a valid token for this device. */
export function tokenUnfit(): HubError {
  return new HubError(
    'enrollment-refused',
    'this needs an enrollment token that is unused, not expired and for this device: `edgekeep enroll token` makes one',
  );
}

/** Uses the token up. Refused when another device was faster, or the token has ended meanwhile. */
export async function spendEnrollmentToken(
  trx: WriteTransaction,
  sha256: string,
  { deviceId, nowMs }: { readonly deviceId: string; readonly nowMs: number },
): Promise<void> {
  const row = await trx.selectFrom('enrolment_token').selectAll().where('sha256', '=', sha256).executeTakeFirst();
  if (row === undefined || (await tokenStateOf(trx, row, nowMs)) !== 'usable')
    throw new HubError('enrollment-refused', 'this enrollment token was used in the meantime, or has ended');
  await trx
    .updateTable('enrolment_token')
    .set({ used_by: deviceId })
    .where('sha256', '=', sha256)
    .where('used_by', 'is', null)
    .executeTakeFirst();
}
