// The token of a device that can hold no certificate: `device_id:unix_seconds:hex(HMAC-SHA256(secret, "device_id:unix_seconds"))`. It says
// who and when, but not what. Anybody who sees one can use it until its second is used up, so it is sent only inside TLS.
// spec/device-token.md.
import { createHmac } from 'node:crypto';
import { equalBytes, parseHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { isDeviceId } from './device-id.ts';

export interface DeviceToken {
  readonly deviceId: string;
  /** Unix seconds, by the device's clock. */
  readonly atSeconds: number;
  readonly mac: Uint8Array;
}

/** A device id has at most 63 characters, a time 12 digits, a MAC 64. */
const TOKEN_LENGTH_MAX = 63 + 1 + 12 + 1 + 64;

/** Reads a token; nothing in it is proven yet. Throws `token-invalid` for anything but the one form. */
export function parseDeviceToken(text: string): DeviceToken {
  if (text.length > TOKEN_LENGTH_MAX) throw invalid(`${text.length} characters, at most ${TOKEN_LENGTH_MAX}`);
  const [deviceId = '', time = '', mac = '', ...more] = text.split(':');
  if (more.length > 0 || !isDeviceId(deviceId)) throw invalid('it does not begin with a device id');
  if (!/^(?:0|[1-9]\d{0,11})$/.test(time)) throw invalid('the time is not a number of seconds');
  if (!/^[0-9a-f]{64}$/.test(mac)) throw invalid('the MAC is not 64 lower-case hex digits');
  return { deviceId, atSeconds: Number(time), mac: parseHex(mac, 'device token') };
}

export type DeviceTokenVerdict =
  | { readonly kind: 'verified' }
  | { readonly kind: 'refused'; readonly reason: 'signature' | 'too-old' | 'from-the-future' };

/**
 * Verifies a token under any of a device's secrets (two are valid while one is replaced); each is tried in constant time. The caller must
 * check whether the token was used before.
 */
export function verifyDeviceToken(
  token: DeviceToken,
  secrets: readonly string[],
  window: { readonly nowSeconds: number; readonly seconds: number },
): DeviceTokenVerdict {
  const message = `${token.deviceId}:${token.atSeconds}`;
  const fits = secrets.filter((secret) => equalBytes(macOf(secret, message), token.mac));
  if (fits.length === 0) return { kind: 'refused', reason: 'signature' };
  if (token.atSeconds < window.nowSeconds - window.seconds) return { kind: 'refused', reason: 'too-old' };
  if (token.atSeconds > window.nowSeconds + window.seconds) return { kind: 'refused', reason: 'from-the-future' };
  return { kind: 'verified' };
}

/** Makes a token; devices in other languages do the same (spec/device-token.md). */
export function encodeDeviceToken(deviceId: string, atSeconds: number, secret: string): string {
  const message = `${deviceId}:${atSeconds}`;
  return `${message}:${Buffer.from(macOf(secret, message)).toString('hex')}`;
}

function macOf(secret: string, message: string): Uint8Array {
  return createHmac('sha256', utf8(secret)).update(message).digest();
}

function invalid(problem: string): CoreError {
  return new CoreError('token-invalid', `device token: ${problem}`);
}
