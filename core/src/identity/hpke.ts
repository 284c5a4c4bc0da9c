// HPKE (RFC 9180), base mode, single shot, one suite: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. It carries a model key to a
// device without a TPM. With one suite and no negotiation there is no downgrade.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { concat, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { assertP256, encodeP256Point, p256PointLength, parseP256Point } from './p256-point.ts';

// RFC 9180 section 7: KEM 0x0010, KDF 0x0001, AEAD 0x0002.
const kemSuite = concat(utf8('KEM'), Uint8Array.of(0x00, 0x10));
const hpkeSuite = concat(utf8('HPKE'), Uint8Array.of(0x00, 0x10, 0x00, 0x01, 0x00, 0x02));
const modeBase = 0x00;
const hashLength = 32;
const keyLength = 32;
const nonceLength = 12;
const tagLength = 16;
const sharedSecretLength = 32;
const empty = new Uint8Array(0);

/** More than any wrapped key needs; limits what an attacker can make us decrypt in one piece. */
export const HPKE_PLAINTEXT_LENGTH_MAX = 64 * 1024;

export interface HpkeSealed {
  /** `enc` of RFC 9180: the ephemeral public key, an uncompressed P-256 point of 65 bytes. */
  readonly encapsulatedKey: Uint8Array;
  /** The encrypted plaintext, followed by the 16-byte tag. */
  readonly ciphertext: Uint8Array;
}

export interface HpkeSealInput {
  readonly recipientPublicKey: KeyObject;
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
  readonly plaintext: Uint8Array;
  /** For test vectors only. Without it a fresh one is generated: two messages under one ephemeral key would share a nonce. */
  readonly ephemeralPrivateKey?: KeyObject;
}

export interface HpkeOpenInput {
  readonly recipientPrivateKey: KeyObject;
  readonly encapsulatedKey: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly info: Uint8Array;
  readonly aad: Uint8Array;
}

/** Seals to a P-256 public key (RFC 9180 section 6.1, SealBase). Throws `key-invalid` for a key of another kind. */
export function hpkeSeal(input: HpkeSealInput): HpkeSealed {
  const { recipientPublicKey, info, aad, plaintext } = input;
  if (plaintext.length > HPKE_PLAINTEXT_LENGTH_MAX) {
    throw new CoreError('bytes-too-long', `HPKE: ${plaintext.length} bytes, at most ${HPKE_PLAINTEXT_LENGTH_MAX}`);
  }
  const recipientPoint = encodeP256Point(recipientPublicKey);
  const ephemeral = input.ephemeralPrivateKey ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  assertP256(ephemeral);
  const encapsulatedKey = encodeP256Point(createPublicKey(ephemeral));
  const shared = diffieHellman({ privateKey: ephemeral, publicKey: recipientPublicKey });
  const secret = kemSecret(shared, concat(encapsulatedKey, recipientPoint));
  const { key, nonce } = keySchedule(secret, info);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(aad);
  const ciphertext = concat(cipher.update(plaintext), cipher.final(), cipher.getAuthTag());
  key.fill(0);
  return { encapsulatedKey, ciphertext };
}

/** As `HpkeOpenInput`, for a private key that never leaves its token. */
export interface HpkeOpenWithSharedSecretInput extends Omit<HpkeOpenInput, 'recipientPrivateKey'> {
  readonly recipientPublicKey: KeyObject;
  /** What the token computed from `encapsulatedKey`: the x-coordinate, 32 bytes (RFC 9180 section 7.1.3). Overwritten with zeros. */
  readonly sharedSecret: Uint8Array;
}

/**
 * Opens a message sealed to this private key (RFC 9180 section 6.1, OpenBase). The caller owns the plaintext and zeroes it. Throws
 * `hpke-open` for any mismatch: key, encapsulated key, info, aad or a changed byte.
 */
export function hpkeOpen({ recipientPrivateKey, ...input }: HpkeOpenInput): Uint8Array {
  assertP256(recipientPrivateKey);
  const publicKey = parseEncapsulatedKey(input.encapsulatedKey);
  return hpkeOpenWithSharedSecret({
    ...input,
    recipientPublicKey: createPublicKey(recipientPrivateKey),
    sharedSecret: diffieHellman({ privateKey: recipientPrivateKey, publicKey }),
  });
}

/**
 * As `hpkeOpen`, after a key agreement that was made elsewhere. The caller parses the encapsulated key before the agreement, which refuses
 * points off the curve.
 */
export function hpkeOpenWithSharedSecret(input: HpkeOpenWithSharedSecretInput): Uint8Array {
  const { recipientPublicKey, sharedSecret, encapsulatedKey, ciphertext, info, aad } = input;
  if (sharedSecret.length !== sharedSecretLength) {
    throw new CoreError('hpke-open', `HPKE: a shared secret of ${sharedSecret.length} bytes`);
  }
  if (ciphertext.length < tagLength || ciphertext.length > HPKE_PLAINTEXT_LENGTH_MAX + tagLength) {
    throw new CoreError('hpke-open', `HPKE: a ciphertext of ${ciphertext.length} bytes`);
  }
  const secret = kemSecret(sharedSecret, concat(encapsulatedKey, encodeP256Point(recipientPublicKey)));
  const { key, nonce } = keySchedule(secret, info);
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

function parseEncapsulatedKey(bytes: Uint8Array): KeyObject {
  try {
    return parseP256Point(bytes);
  } catch (cause) {
    throw new CoreError('hpke-open', `HPKE: the encapsulated key is not a P-256 point of ${p256PointLength} bytes`, {
      cause,
    });
  }
}

// RFC 9180 section 4.1, ExtractAndExpand: Encap and Decap differ only in whose private key made `shared`.
function kemSecret(shared: Uint8Array, kemContext: Uint8Array): Uint8Array {
  const prk = labeledExtract(kemSuite, empty, 'eae_prk', shared);
  shared.fill(0);
  return labeledExpand(kemSuite, prk, 'shared_secret', kemContext, hashLength);
}

// RFC 9180 section 5.1, KeySchedule with the default psk and psk_id; the nonce of sequence number 0 is the base nonce.
function keySchedule(secret: Uint8Array, info: Uint8Array) {
  const pskIdHash = labeledExtract(hpkeSuite, empty, 'psk_id_hash', empty);
  const infoHash = labeledExtract(hpkeSuite, empty, 'info_hash', info);
  const context = concat(Uint8Array.of(modeBase), pskIdHash, infoHash);
  const prk = labeledExtract(hpkeSuite, secret, 'secret', empty);
  secret.fill(0);
  return {
    key: labeledExpand(hpkeSuite, prk, 'key', context, keyLength),
    nonce: labeledExpand(hpkeSuite, prk, 'base_nonce', context, nonceLength),
  };
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

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}
