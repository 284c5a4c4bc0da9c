// X-Wing (draft-connolly-cfrg-xwing-kem, MLKEM768-X25519 of draft-ietf-hpke-pq): a key encapsulation of ML-KEM-768 and X25519. Its secret is
// safe as long as one of the two is.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { concat, parseBase64url, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';

/** Bytes of the private key, from which both halves follow. */
export const XWING_SEED_LENGTH = 32;
/** Bytes: the key of ML-KEM-768, then that of X25519. */
const publicKeyLength = 1216;
/** Bytes: the ciphertext of ML-KEM-768, then the ephemeral key of X25519. */
const encapsulatedLength = 1120;

const mlKemPublicLength = 1184;
const mlKemCiphertextLength = 1088;
const mlKemSeedLength = 64;
const curveKeyLength = 32;
/** The draft's label: \.//^\ */
const label = utf8('\\.//^\\');

/** Everything before the key (RFC 9935 for ML-KEM, with the private key as its seed; RFC 8410 for X25519). */
const headers = {
  mlKemPublic: '308204b2300b0609608648016503040402038204a100',
  mlKemSeed: '3054020100300b060960864801650304040204428040',
  curvePublic: '302a300506032b656e032100',
  curvePrivate: '302e020100300506032b656e04220420',
} as const;

export interface XwingEncapsulated {
  /** 32 bytes; the caller zeroes it. */
  readonly sharedSecret: Uint8Array;
  readonly encapsulatedKey: Uint8Array;
}

/** The public key of a seed. Throws `key-invalid` for another length. */
export function xwingPublicKey(seed: Uint8Array): Uint8Array {
  const { mlKem, curve } = expand(seed);
  return concat(
    rawPublic(createPublicKey(mlKem), mlKemPublicLength),
    rawPublic(createPublicKey(curve), curveKeyLength),
  );
}

/** A public key, parsed. Keep it: parsing takes longer than to encapsulate for it. */
export interface XwingPublicKey {
  readonly mlKem: KeyObject;
  readonly curve: KeyObject;
  /** The 32 bytes of `curve`. */
  readonly curveBytes: Uint8Array;
}

/** Throws `key-invalid` for bytes that are no key. */
export function parseXwingPublicKey(publicKey: Uint8Array): XwingPublicKey {
  if (publicKey.length !== publicKeyLength) {
    throw new CoreError('key-invalid', `an X-Wing public key has ${publicKeyLength} bytes, not ${publicKey.length}`);
  }
  const curveBytes = Uint8Array.from(publicKey.subarray(mlKemPublicLength));
  return {
    mlKem: keyOf(headers.mlKemPublic, publicKey.subarray(0, mlKemPublicLength)),
    curve: keyOf(headers.curvePublic, curveBytes),
    curveBytes,
  };
}

/** A fresh secret for the owner of this key. Throws `key-invalid` for bytes that are no key. */
export function xwingEncapsulate(publicKey: Uint8Array | XwingPublicKey): XwingEncapsulated {
  const { mlKem, curve, curveBytes } = publicKey instanceof Uint8Array ? parseXwingPublicKey(publicKey) : publicKey;
  const ephemeral = generateKeyPairSync('x25519');
  try {
    const { sharedKey, ciphertext } = encapsulate(mlKem);
    const agreed = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: curve });
    const curveCiphertext = curveBytesOf(ephemeral.publicKey);
    const sharedSecret = combine(sharedKey, agreed, curveCiphertext, curveBytes);
    return { sharedSecret, encapsulatedKey: concat(ciphertext, curveCiphertext) };
  } catch (cause) {
    throw new CoreError('key-invalid', 'nothing can be encapsulated for this X-Wing key', { cause });
  }
}

/**
 * The secret; the caller zeroes it. For what was encapsulated for another key it is another secret, as FIPS 203 has it: what it opens must be
 * authenticated. Throws `hpke-open` for another length and for a point of small order.
 */
export function xwingDecapsulate(seed: Uint8Array, encapsulatedKey: Uint8Array): Uint8Array {
  if (encapsulatedKey.length !== encapsulatedLength) {
    throw new CoreError('hpke-open', `X-Wing: an encapsulated key of ${encapsulatedKey.length} bytes`);
  }
  const { mlKem, curve } = expand(seed);
  const curveCiphertext = encapsulatedKey.subarray(mlKemCiphertextLength);
  try {
    const shared = decapsulate(mlKem, encapsulatedKey.subarray(0, mlKemCiphertextLength));
    const agreed = diffieHellman({ privateKey: curve, publicKey: keyOf(headers.curvePublic, curveCiphertext) });
    return combine(shared, agreed, curveCiphertext, rawPublic(createPublicKey(curve), curveKeyLength));
  } catch (cause) {
    throw new CoreError('hpke-open', 'X-Wing: the encapsulated key is of small order', { cause });
  }
}

/** The draft's combiner. Overwrites the two secrets. */
function combine(
  mlKemSecret: Uint8Array,
  curveSecret: Uint8Array,
  curveCiphertext: Uint8Array,
  curvePublic: Uint8Array,
): Uint8Array {
  const hash = createHash('sha3-256');
  for (const part of [mlKemSecret, curveSecret, curveCiphertext, curvePublic, label]) hash.update(part);
  mlKemSecret.fill(0);
  curveSecret.fill(0);
  return hash.digest();
}

/** The draft's expandDecapsulationKey. */
function expand(seed: Uint8Array): { readonly mlKem: KeyObject; readonly curve: KeyObject } {
  if (seed.length !== XWING_SEED_LENGTH) {
    throw new CoreError('key-invalid', `an X-Wing private key has ${XWING_SEED_LENGTH} bytes, not ${seed.length}`);
  }
  const expanded = createHash('shake256', { outputLength: mlKemSeedLength + curveKeyLength })
    .update(seed)
    .digest();
  try {
    return {
      mlKem: privateKeyOf(headers.mlKemSeed, expanded.subarray(0, mlKemSeedLength)),
      curve: privateKeyOf(headers.curvePrivate, expanded.subarray(mlKemSeedLength)),
    };
  } finally {
    expanded.fill(0);
  }
}

function keyOf(header: string, raw: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from(header, 'hex'), raw]);
  try {
    return createPublicKey({ key: der, format: 'der', type: 'spki' });
  } catch (cause) {
    throw new CoreError('key-invalid', 'no public key of ML-KEM-768 and X25519', { cause });
  }
}

function privateKeyOf(header: string, raw: Uint8Array): KeyObject {
  const der = Buffer.concat([Buffer.from(header, 'hex'), raw]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

// As a JWK, because node:crypto writes one in a tenth of the time of DER.
function curveBytesOf(key: KeyObject): Uint8Array {
  const { x = '' } = key.export({ format: 'jwk' });
  return parseBase64url(x, 'X25519 key');
}

function rawPublic(key: KeyObject, length: number): Uint8Array {
  return key.export({ format: 'der', type: 'spki' }).subarray(-length);
}
