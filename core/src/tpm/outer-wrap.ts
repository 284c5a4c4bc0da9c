// The outer wrap of a protected structure (TPM 2.0 Part 1, 22.4 and 23.4): AES-CFB under a key from the seed, then an HMAC that
// binds the ciphertext to the Name of the object it belongs to.
import { createCipheriv, createHmac, createSecretKey } from 'node:crypto';
import { ByteWriter } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { hashSize, type TpmHash } from './algorithm.ts';
import { kdfa } from './kdf.ts';
import { type AesCfb, objectAttributes, type TpmPublic } from './public-area.ts';

const none = new Uint8Array(0);

const { restricted, decrypt, sign } = objectAttributes;

/** The AES key size with which a storage key protects; throws when the object is no storage key. */
export function storageCipherOf(parent: TpmPublic): AesCfb {
  const storageUse = (parent.attributes & (restricted | decrypt | sign)) === (restricted | decrypt);
  if (!storageUse || (parent.kind !== 'rsa' && parent.kind !== 'ecc') || parent.symmetric === null) {
    throw new CoreError('tpm-structure-invalid', 'expected an RSA or ECC storage key: restricted, with an AES cipher');
  }
  return parent.symmetric;
}

/** HMAC (TPM2B_DIGEST) || AES-CFB(sensitive); `sensitive` already carries its own length. */
export function outerWrap(
  hash: TpmHash,
  cipher: AesCfb,
  seed: Uint8Array,
  name: Uint8Array,
  sensitive: Uint8Array,
): Uint8Array {
  const key = kdfa(hash, seed, 'STORAGE', name, none, cipher.keyBits);
  const macKey = kdfa(hash, seed, 'INTEGRITY', none, none, hashSize(hash) * 8);
  // The key is used once, so the standard's all-zero initialisation vector is safe. Key objects are taken faster than bare bytes.
  const aes = createCipheriv(`aes-${cipher.keyBits}-cfb`, createSecretKey(key), new Uint8Array(16));
  const encrypted = aes.update(sensitive);
  const mac = createHmac(hash, createSecretKey(macKey)).update(encrypted).update(name).digest();
  key.fill(0);
  macKey.fill(0);
  return new ByteWriter().sized16(mac).bytes(encrypted).finish();
}
