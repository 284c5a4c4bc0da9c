// Secrets at rest, wrapped under the platform key with AES-256-GCM and bound to their kind and owner: a value copied to another row does
// not open there (spec/platform-secrets.md). Layout: 4-byte version of the key, 12-byte random nonce, ciphertext, 16-byte tag.
import { createSecretKey } from 'node:crypto';
import { ByteWriter, utf8 } from '@edgekeep/core/bytes';
import { HubError } from '../common/error.ts';
import type { PlatformKey } from './platform-key.ts';
import { seal, unseal } from './sealing.ts';

/** The version's length: every value that one version wrapped begins with the same bytes. */
export const keyVersionLength = 4;

/** The place of a secret: its kind, for example `model key`, and the names that distinguish it from others of that kind. */
export interface EncryptionContext {
  readonly kind: string;
  readonly names: readonly string[];
}

/** Wraps under the newest version. */
export function wrapSecret(platformKey: PlatformKey, secret: Uint8Array, place: EncryptionContext): Uint8Array {
  const key = platformKey.key(platformKey.newest);
  if (key === undefined)
    throw new HubError('hub-stopping', 'the platform key is gone from memory: the hub is stopping');
  const sealed = seal(createSecretKey(key), secret, associatedData(place));
  return new ByteWriter().bytes(encodeKeyVersion(platformKey.newest)).bytes(sealed).finish();
}

/** The secret; the caller zeroes it after use. Throws `store-failed` for a value that was not wrapped for this place. */
export function unwrapSecret(platformKey: PlatformKey, wrapped: Uint8Array, place: EncryptionContext): Uint8Array {
  const what = `the stored ${place.kind} of ${place.names.join(' ')}`;
  if (wrapped.length <= keyVersionLength) throw new HubError('store-failed', `${what} has the wrong length`);
  const version = keyVersionOf(wrapped);
  const key = platformKey.key(version);
  if (key === undefined) {
    throw new HubError(
      'store-failed',
      `${what} is wrapped under platform key ${version}, which this hub does not have`,
    );
  }
  const secret = unseal(createSecretKey(key), wrapped.subarray(keyVersionLength), associatedData(place));
  if (secret === undefined) throw new HubError('store-failed', `${what} does not open under the platform key`);
  return secret;
}

/** The same secret under the newest version. */
export function rewrapSecret(platformKey: PlatformKey, wrapped: Uint8Array, place: EncryptionContext): Uint8Array {
  const secret = unwrapSecret(platformKey, wrapped, place);
  try {
    return wrapSecret(platformKey, secret, place);
  } finally {
    secret.fill(0);
  }
}

/** The first bytes of every value that this version wrapped. */
export function encodeKeyVersion(version: number): Uint8Array {
  return new ByteWriter().u32(version).finish();
}

function keyVersionOf(wrapped: Uint8Array): number {
  return new DataView(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength).getUint32(0);
}

function associatedData({ kind, names }: EncryptionContext): Uint8Array {
  return utf8(['edgekeep', kind, ...names].join('\0'));
}
