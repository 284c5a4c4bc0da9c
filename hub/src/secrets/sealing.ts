// The cryptography of `keys/sealed.json`, spec/platform-secrets.md: AES-256-GCM throughout, each ciphertext bound to its purpose by its
// associated data. Layout everywhere: 12-byte random nonce, ciphertext, 16-byte tag.
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject, randomBytes } from 'node:crypto';
import { concat, utf8 } from '@edgekeep/core/bytes';
import { encodeCanonicalJson } from '@edgekeep/core/json';
import type { Unlocker } from './sealed-file.ts';

const nonceLength = 12;
const tagLength = 16;
const unlockerInfo = 'edgekeep hub unlocker v1';

/** An unlocker before the KEK was wrapped for it. Omitting over the union keeps its members apart. */
export type UnlockerTerms = Unlocker extends infer Each
  ? Each extends Unlocker
    ? Omit<Each, 'wrapped'>
    : never
  : never;

export function seal(key: KeyObject, secret: Uint8Array, associatedData: Uint8Array): Uint8Array {
  const nonce = randomBytes(nonceLength);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(associatedData);
  return concat(nonce, cipher.update(secret), cipher.final(), cipher.getAuthTag());
}

/** The secret, or undefined when it was not sealed under this key for this use. */
export function unseal(key: KeyObject, sealed: Uint8Array, associatedData: Uint8Array): Uint8Array | undefined {
  if (sealed.length < nonceLength + tagLength) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, nonceLength), { authTagLength: tagLength })
    .setAAD(associatedData)
    .setAuthTag(sealed.subarray(-tagLength));
  const secret = decipher.update(sealed.subarray(nonceLength, -tagLength));
  try {
    decipher.final();
  } catch {
    // The tag is wrong: this is the only failure here, and Node gives it no code.
    secret.fill(0);
    return undefined;
  }
  return secret;
}

/** What an entry's ciphertext is bound to: one entry does not open in place of another. */
export function entryPlace(name: string): Uint8Array {
  return utf8(`edgekeep sealed key v1\0${name}`);
}

/** What the wrapped KEK is bound to: everything that the file says about its unlocker. */
export function unlockerContext(terms: UnlockerTerms): Uint8Array {
  return encodeCanonicalJson({ type: unlockerInfo, ...terms });
}

/** The key that wraps the KEK, from the 32 bytes that a passphrase, shares or a program yield. */
export function wrappingKey(unlockingSecret: Uint8Array): KeyObject {
  const bytes = new Uint8Array(hkdfSync('sha256', unlockingSecret, new Uint8Array(0), unlockerInfo, 32));
  try {
    return createSecretKey(bytes);
  } finally {
    bytes.fill(0);
  }
}
