// Model keys at rest: each is wrapped under the platform key with AES-256-GCM, bound to the model's name and version, so a row copied
// onto another release does not open. Layout: 12-byte random nonce, ciphertext, 16-byte tag.
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { concat, utf8 } from '@edgekeep/core/bytes';
import { HubError } from '../error.ts';

const nonceLength = 12;
const tagLength = 16;
/** Bytes of a model key and of the platform key. */
export const modelKeyLength = 32;

const associatedData = (name: string, version: string) => utf8(`edgekeep model key\0${name}\0${version}`);

export function wrapModelKey(platformKey: Uint8Array, modelKey: Uint8Array, name: string, version: string): Uint8Array {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', platformKey, nonce).setAAD(associatedData(name, version));
  return concat(nonce, cipher.update(modelKey), cipher.final(), cipher.getAuthTag());
}

/** The model key; the caller zeroes it after use. */
export function unwrapModelKey(
  platformKey: Uint8Array,
  wrapped: Uint8Array,
  name: string,
  version: string,
): Uint8Array {
  if (wrapped.length !== nonceLength + modelKeyLength + tagLength) {
    throw new HubError('store-failed', `the stored key of ${name} ${version} has the wrong length`);
  }
  const decipher = createDecipheriv('aes-256-gcm', createSecretKey(platformKey), wrapped.subarray(0, nonceLength))
    .setAAD(associatedData(name, version))
    .setAuthTag(wrapped.subarray(-tagLength));
  const key = decipher.update(wrapped.subarray(nonceLength, -tagLength));
  try {
    decipher.final();
  } catch (cause) {
    key.fill(0);
    throw new HubError('store-failed', `the stored key of ${name} ${version} does not open under the platform key`, {
      cause,
    });
  }
  return key;
}
