// The part of HPKE that every KEM shares (RFC 9180, sections 4 and 5.1): labels, the key schedule of the modes base and psk with HKDF-SHA256,
// and one message under AES-256-GCM.
import { createCipheriv, createDecipheriv, createHmac, createSecretKey } from 'node:crypto';
import { concat, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';

const hashLength = 32;
const keyLength = 32;
const nonceLength = 12;
const tagLength = 16;
const empty = new Uint8Array(0);

/** More than any wrapped key needs; limits what an attacker can make us decrypt in one piece. */
export const HPKE_PLAINTEXT_LENGTH_MAX = 64 * 1024;

/** Mode psk: a second secret, which both sides have, without which nothing opens. */
export interface HpkePsk {
  /** At least 32 bytes (RFC 9180, section 9.5). Not overwritten. */
  readonly psk: Uint8Array;
  readonly pskId: Uint8Array;
}

/** Everything that the key of a message follows from; `secret` is overwritten. */
export interface HpkeKeying {
  /** KEM identifier (RFC 9180, section 7.1). */
  readonly kemId: number;
  /** The KEM's shared secret, 32 bytes. */
  readonly secret: Uint8Array;
  readonly info: Uint8Array;
  readonly psk?: HpkePsk | undefined;
}

/** Section 6.1, the only message of its context. */
export function sealMessage(keying: HpkeKeying, aad: Uint8Array, plaintext: Uint8Array): Uint8Array {
  assertPlaintextLength(plaintext);
  const { key, nonce } = keySchedule(keying);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(aad);
  const ciphertext = concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  key.fill(0);
  return ciphertext;
}

/** Throws `bytes-too-long`. */
export function assertPlaintextLength({ length }: Uint8Array): void {
  if (length > HPKE_PLAINTEXT_LENGTH_MAX)
    throw new CoreError('bytes-too-long', `HPKE: ${length} bytes, at most ${HPKE_PLAINTEXT_LENGTH_MAX}`);
}

/** Throws `hpke-open` for a ciphertext of a length that no message has. */
export function assertCiphertextLength({ length }: Uint8Array): void {
  if (length < tagLength || length > HPKE_PLAINTEXT_LENGTH_MAX + tagLength)
    throw new CoreError('hpke-open', `HPKE: a ciphertext of ${length} bytes`);
}

/** Throws `hpke-open` for any mismatch. The caller zeroes the plaintext. */
export function openMessage(keying: HpkeKeying, aad: Uint8Array, ciphertext: Uint8Array): Uint8Array {
  assertCiphertextLength(ciphertext);
  const { key, nonce } = keySchedule(keying);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagLength });
  key.fill(0);
  decipher.setAAD(aad);
  decipher.setAuthTag(ciphertext.subarray(ciphertext.length - tagLength));
  const plaintext = decipher.update(ciphertext.subarray(0, ciphertext.length - tagLength));
  try {
    decipher.final();
  } catch (cause) {
    plaintext.fill(0);
    throw new CoreError('hpke-open', 'HPKE: the ciphertext does not open with this key, info and aad', { cause });
  }
  return plaintext;
}

// Section 5.1; the nonce of sequence number 0 is the base nonce.
function keySchedule({ kemId, secret, info, psk }: HpkeKeying) {
  const suite = concat(utf8('HPKE'), identifier(kemId), Uint8Array.of(0x00, 0x01, 0x00, 0x02));
  const pskIdHash = labeledExtract(suite, empty, 'psk_id_hash', psk?.pskId ?? empty);
  const infoHash = labeledExtract(suite, empty, 'info_hash', info);
  const context = concat(Uint8Array.of(psk === undefined ? 0x00 : 0x01), pskIdHash, infoHash);
  const prk = labeledExtract(suite, secret, 'secret', psk?.psk ?? empty);
  secret.fill(0);
  return {
    key: labeledExpand(suite, prk, 'key', context, keyLength),
    nonce: labeledExpand(suite, prk, 'base_nonce', context, nonceLength),
  };
}

/** Section 4.1, ExtractAndExpand of a DHKEM. Overwrites `shared`. */
export function extractAndExpand(kemId: number, shared: Uint8Array, kemContext: Uint8Array): Uint8Array {
  const suite = concat(utf8('KEM'), identifier(kemId));
  const prk = labeledExtract(suite, empty, 'eae_prk', shared);
  shared.fill(0);
  return labeledExpand(suite, prk, 'shared_secret', kemContext, hashLength);
}

function identifier(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}

function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Uint8Array {
  return hmac(salt, utf8('HPKE-v1'), suite, utf8(label), ikm);
}

// HKDF-Expand (RFC 5869 section 2.3) in its one-block form: no output of this suite is longer than the hash.
function labeledExpand(suite: Uint8Array, prk: Uint8Array, label: string, info: Uint8Array, length: number) {
  const lengthField = Uint8Array.of(length >> 8, length & 0xff);
  const block = hmac(prk, lengthField, utf8('HPKE-v1'), suite, utf8(label), info, Uint8Array.of(0x01));
  return block.subarray(0, length);
}

// A key object, because node:crypto takes one several times faster than bare bytes.
function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', createSecretKey(key));
  for (const part of parts) mac.update(part);
  return mac.digest();
}
