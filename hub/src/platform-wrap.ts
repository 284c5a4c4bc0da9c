// Secrets at rest, wrapped under the platform key with AES-256-GCM and bound to what they are and whose: a row copied to another place
// does not open there. Layout: 12-byte random nonce, ciphertext, 16-byte tag.
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { concat, utf8 } from '@edgekeep/core/bytes';
import { HubError } from './error.ts';

const nonceLength = 12;
const tagLength = 16;

/** Where a secret belongs: its kind, for example `model key`, and the names that tell it from its like. */
export interface Place {
  readonly kind: string;
  readonly names: readonly string[];
}

export function wrapSecret(platformKey: Uint8Array, secret: Uint8Array, place: Place): Uint8Array {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', createSecretKey(platformKey), nonce).setAAD(associatedData(place));
  return concat(nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag());
}

/** The secret; the caller zeroes it after use. Throws `store-failed` for anything that was not wrapped for this place. */
export function unwrapSecret(platformKey: Uint8Array, wrapped: Uint8Array, place: Place): Uint8Array {
  const what = `the stored ${place.kind} of ${place.names.join(' ')}`;
  if (wrapped.length <= nonceLength + tagLength) throw new HubError('store-failed', `${what} has the wrong length`);
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(platformKey), wrapped.subarray(0, nonceLength))
    .setAAD(associatedData(place))
    .setAuthTag(wrapped.subarray(-tagLength));
  const secret = decipher.update(wrapped.subarray(nonceLength, -tagLength));
  try {
    decipher.final();
  } catch (cause) {
    secret.fill(0);
    throw new HubError('store-failed', `${what} does not open under the platform key`, { cause });
  }
  return secret;
}

function associatedData({ kind, names }: Place): Uint8Array {
  return utf8(['edgekeep', kind, ...names].join('\0'));
}
