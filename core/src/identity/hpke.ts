// HPKE (RFC 9180), base mode, single shot, one suite: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. It carries a model key to a
// device without a TPM. With one suite and no negotiation there is no downgrade.
import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { concat } from '../bytes.ts';
import { CoreError } from '../error.ts';
import {
  assertCiphertextLength,
  assertPlaintextLength,
  extractAndExpand,
  openMessage,
  sealMessage,
} from './hpke-schedule.ts';
import { assertP256, encodeP256Point, p256PointLength, parseP256Point } from './p256-point.ts';

// RFC 9180 section 7.1.
const kemId = 0x0010;
const sharedSecretLength = 32;

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
  assertPlaintextLength(plaintext);
  const recipientPoint = encodeP256Point(recipientPublicKey);
  const ephemeral = input.ephemeralPrivateKey ?? generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  assertP256(ephemeral);
  const encapsulatedKey = encodeP256Point(createPublicKey(ephemeral));
  const shared = diffieHellman({ privateKey: ephemeral, publicKey: recipientPublicKey });
  const secret = extractAndExpand(kemId, shared, concat(encapsulatedKey, recipientPoint));
  return { encapsulatedKey, ciphertext: sealMessage({ kemId, secret, info }, aad, plaintext) };
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
  assertCiphertextLength(ciphertext);
  const kemContext = concat(encapsulatedKey, encodeP256Point(recipientPublicKey));
  const secret = extractAndExpand(kemId, sharedSecret, kemContext);
  return openMessage({ kemId, secret, info }, aad, ciphertext);
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
