// Devices that authenticate by HMAC tokens (spec/device-token.md): registered by an operator, secrets wrapped under the platform key, every
// token accepted once. The lowest tier: it never leads to a model key.
import { noteSeen } from '../registry/device-notes.ts';
import { addDevice } from '../registry/device-row.ts';
import { randomBytes, randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import { parseUtf8, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseDeviceToken, verifyDeviceToken } from '@edgekeep/core/identity/device-token';
import { sha256Hex } from '@edgekeep/core/digest';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { isOlder, type WrappedSecrets } from '../secrets/wrapped-secrets.ts';
import { type EncryptionContext, rewrapSecret, unwrapSecret, wrapSecret } from '../secrets/wrap.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { recordChange } from '../registry/history.ts';
import { arriveByToken, type TokenSessionRule } from '../presence/token-session.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord, DeviceRow } from '../store/tables/registry.ts';
import { findDevice, getDevice, tokenTier } from '../registry/states.ts';

// Used tokens are cleared as new ones come, several at a time, so that the table cannot grow.
const clearedAtOnce = 100;

export interface TokenDeviceOrder {
  readonly deviceId: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** Registers a device and returns its secret, which is shown only once. */
export async function addTokenDevice(
  database: Database,
  platformKey: PlatformKey,
  order: TokenDeviceOrder,
): Promise<string> {
  const { deviceId, actor, nowMs } = order;
  const secret = newSecret();
  const device: DeviceRow = {
    id: deviceId,
    tier: tokenTier,
    state: 'active',
    state_reason: 'registered by an operator',
    identity: JSON.stringify({ kind: tokenTier }),
    root_sha256: sha256Hex(`token device ${deviceId}`),
    witness_key: '',
    enrolled_at: nowMs,
    seen_at: nowMs,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
  await database.write(async (trx) => {
    if ((await findDevice(trx, deviceId)) !== undefined)
      throw new HubError('conflict', `${deviceId} is enrolled already`);
    await addDevice(trx, device);
    await insertSecret(trx, platformKey, deviceId, secret, nowMs);
    const subject = `device:${deviceId}`;
    const logIndex = await appendEntry(trx, { at: nowMs, kind: 'token-device-added', actor, subject, data: {} });
    const change = { from: 'none', to: device.state, reason: device.state_reason, actor };
    await recordChange(trx, { deviceId, logIndex, at: nowMs, ...change });
  });
  return secret;
}

/** Makes a new secret. The newest older one stays valid for the overlap; all others end now. */
export async function rollSecret(
  database: Database,
  platformKey: PlatformKey,
  order: TokenDeviceOrder & { readonly overlapSeconds: number },
): Promise<{ readonly secret: string; readonly olderValidUntil: number }> {
  const { deviceId, actor, nowMs } = order;
  const secret = newSecret();
  const olderValidUntil = nowMs + order.overlapSeconds * 1_000;
  await database.write(async (trx) => {
    const device = await getDevice(trx, deviceId);
    if (device.tier !== tokenTier) throw new HubError('conflict', `${deviceId} does not use tokens`);
    await trx
      .deleteFrom('device_secret')
      .where('device_id', '=', deviceId)
      .where('expires_at', 'is not', null)
      .execute();
    await trx
      .updateTable('device_secret')
      .set({ expires_at: olderValidUntil })
      .where('device_id', '=', deviceId)
      .execute();
    await insertSecret(trx, platformKey, deviceId, secret, nowMs);
    const data = { olderValidUntil };
    await appendEntry(trx, { at: nowMs, kind: 'token-secret-rolled', actor, subject: `device:${deviceId}`, data });
  });
  return { secret, olderValidUntil };
}

export interface TokenUse {
  readonly token: string;
  readonly windowSeconds: number;
  /** The address of the request, and whether it matters. */
  readonly address: string;
  readonly sessionRule: TokenSessionRule;
  readonly nowMs: number;
}

/** The device behind a token; this uses the token up. All refusals have one message. */
export async function useDeviceToken(database: Database, platformKey: PlatformKey, use: TokenUse): Promise<DeviceRow> {
  const { nowMs, windowSeconds } = use;
  const token = parseOrRefuse(use.token);
  const device = await findDevice(database.read, token.deviceId);
  const secrets = await secretsOf(database.read, platformKey, token.deviceId, nowMs);
  const window = { nowSeconds: Math.floor(nowMs / 1_000), seconds: windowSeconds };
  const verdict = verifyDeviceToken(token, secrets, window);
  if (verdict.kind === 'refused' || device === undefined || device.tier !== tokenTier || !mayReport(device))
    throw refused();
  const { place, now } = await database.write(async (trx) => {
    // From here on the token is used, even if the request fails.
    const sha256 = sha256Hex(use.token);
    const known = await trx.selectFrom('used_token').select('sha256').where('sha256', '=', sha256).executeTakeFirst();
    if (known !== undefined) throw refused();
    // A token expires one window after its time; the window ahead is added for tokens from the future.
    const expiresAt = (token.atSeconds + windowSeconds + 1) * 1_000;
    const spanMs = 2 * windowSeconds * 1_000;
    if (expiresAt < (await newestExpiry(trx)) - spanMs) throw refused();
    await clearUsedTokens(trx, nowMs - spanMs);
    await trx.insertInto('used_token').values({ sha256, expires_at: expiresAt }).execute();
    const now = await getDevice(trx, token.deviceId);
    if (!mayReport(now)) throw refused();
    // The secret may have been rolled in the meantime: the secrets that are valid now decide.
    const standing = await secretsOf(trx, platformKey, token.deviceId, nowMs);
    if (verifyDeviceToken(token, standing, window).kind === 'refused') throw refused();
    const place = await arriveByToken(trx, now, use, use.sessionRule);
    if (place === 'let-in') await noteSeen(trx, token.deviceId, nowMs);
    return { place, now };
  });
  if (place === 'let-in') return now;
  if (place === 'held') throw refused();
  throw new HubError(
    'identity-in-use',
    'a token of this device came from another address a short time ago: try again when that address has been silent for a while',
  );
}

function mayReport(device: DeviceRecord): boolean {
  return device.state === 'active' && device.disabled_reason === null;
}

/**
 * The hub's clock may be set back; then used tokens that were cleared would fit into the window again. So only tokens are cleared that are
 * older than the time of clearing by twice the window. A token is accepted together with each clearing, so the newest kept token shows how
 * far time had come: a token that is two windows older may have been used and forgotten. With a clock that only goes forward, no acceptable
 * token is that old.
 */
async function newestExpiry(trx: WriteTransaction): Promise<number> {
  const newest = await trx
    .selectFrom('used_token')
    .select('expires_at')
    .orderBy('expires_at', 'desc')
    .limit(1)
    .executeTakeFirst();
  return newest?.expires_at ?? 0;
}

async function clearUsedTokens(trx: WriteTransaction, beforeMs: number): Promise<void> {
  const old = await trx
    .selectFrom('used_token')
    .select('sha256')
    .where('expires_at', '<', beforeMs)
    .orderBy('expires_at')
    .limit(clearedAtOnce)
    .execute();
  if (old.length === 0) return;
  await trx
    .deleteFrom('used_token')
    .where(
      'sha256',
      'in',
      old.map((row) => row.sha256),
    )
    .execute();
}

function parseOrRefuse(text: string) {
  try {
    return parseDeviceToken(text);
  } catch (error) {
    if (error instanceof CoreError) throw refused();
    throw error;
  }
}

function refused(): HubError {
  return new HubError('token-refused', 'this device token is not accepted: wrong, used before, or the clock is off');
}

function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

async function insertSecret(
  trx: WriteTransaction,
  platformKey: PlatformKey,
  deviceId: string,
  secret: string,
  nowMs: number,
) {
  const id = randomUUID();
  const wrapped = wrapSecret(platformKey, utf8(secret), deviceSecretContext(deviceId, id));
  await trx
    .insertInto('device_secret')
    .values({ id, device_id: deviceId, wrapped_secret: wrapped, created_at: nowMs, expires_at: null })
    .execute();
}

async function secretsOf(
  db: Kysely<Tables>,
  platformKey: PlatformKey,
  deviceId: string,
  nowMs: number,
): Promise<readonly string[]> {
  const rows = await db.selectFrom('device_secret').selectAll().where('device_id', '=', deviceId).execute();
  return rows
    .filter((row) => row.expires_at === null || row.expires_at > nowMs)
    .map((row) =>
      parseUtf8(unwrapSecret(platformKey, row.wrapped_secret, deviceSecretContext(deviceId, row.id)), 'device secret'),
    );
}

/** What a row of device secrets is bound to. */
const deviceSecretContext = (deviceId: string, id: string): EncryptionContext => ({
  kind: 'device secret',
  names: [deviceId, id],
});

/** The secrets of all devices. */
export const deviceSecrets: WrappedSecrets<Kysely<Tables>, WriteTransaction> = {
  async countOlder(db, newest) {
    const { count } = await db
      .selectFrom('device_secret')
      .select((q) => q.fn.countAll<number>().as('count'))
      .where(isOlder('wrapped_secret', newest))
      .executeTakeFirstOrThrow();
    return count;
  },
  async rewrapOlder(trx, platformKey, max) {
    const rows = await trx
      .selectFrom('device_secret')
      .select(['id', 'device_id', 'wrapped_secret'])
      .where(isOlder('wrapped_secret', platformKey.newest))
      .limit(max)
      .execute();
    for (const { id, device_id: deviceId, wrapped_secret: old } of rows) {
      await trx
        .updateTable('device_secret')
        .set({ wrapped_secret: rewrapSecret(platformKey, old, deviceSecretContext(deviceId, id)) })
        .where('id', '=', id)
        .execute();
    }
    return rows.length;
  },
};
