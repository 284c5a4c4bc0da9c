// A private key under a passphrase: PKCS #8 EncryptedPrivateKeyInfo (RFC 5958 section 3) with PBES2 (RFC 8018 section 6.2), scrypt (RFC
// 7914 section 7) and AES-256-CBC. OpenSSL and Node read it; the defaults that they write themselves are much cheaper to guess.
import { createCipheriv, scryptSync } from 'node:crypto';
import { toBase64 } from '../bytes.ts';
import { derInteger, derOctetString, derOid, derSequence } from '../der.ts';
import { CoreError } from '../error.ts';

/** 16 MiB and about half a second: OpenSSL refuses to read keys that take more than 32 MiB. */
const keyScrypt = { cost: 16_384, blockSize: 8, parallelization: 8 } as const;
export const keySaltLength = 16;
export const keyIvLength = 16;

const oid = { pbes2: '1.2.840.113549.1.5.13', scrypt: '1.3.6.1.4.1.11591.4.11', aes256Cbc: '2.16.840.1.101.3.4.1.42' };
const keyLength = 32;

/** PEM of `pkcs8` (DER) under `passphrase`; `salt` and `iv` are fresh random octets. Throws `key-invalid` for wrong lengths. */
export function encodeEncryptedKey(
  pkcs8: Uint8Array,
  passphrase: string,
  { salt, iv }: { readonly salt: Uint8Array; readonly iv: Uint8Array },
): string {
  if (salt.length !== keySaltLength || iv.length !== keyIvLength)
    throw new CoreError(
      'key-invalid',
      `a key is encrypted with ${keySaltLength} octets of salt and ${keyIvLength} of IV`,
    );
  const { cost, blockSize, parallelization } = keyScrypt;
  const maxmem = 256 * cost * blockSize;
  const key = scryptSync(passphrase, salt, keyLength, { cost, blockSize, parallelization, maxmem });
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const encrypted = Buffer.concat([cipher.update(pkcs8), cipher.final()]);
  key.fill(0);
  const derivation = derSequence(
    derOid(oid.scrypt),
    derSequence(
      derOctetString(salt),
      derInteger(cost),
      derInteger(blockSize),
      derInteger(parallelization),
      derInteger(keyLength),
    ),
  );
  const scheme = derSequence(derOid(oid.aes256Cbc), derOctetString(iv));
  const algorithm = derSequence(derOid(oid.pbes2), derSequence(derivation, scheme));
  const lines = toBase64(derSequence(algorithm, derOctetString(encrypted))).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${lines.join('\n')}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
}
