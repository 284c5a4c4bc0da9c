// The key-encryption key (KEK) of the hub's keys in the store, spec/platform-secrets.md, "Keys in the store", and what is derived from it: the
// key that seals entries, and a pair that signs the document and vouches for the next KEK.
import { createSecretKey, hkdfSync, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { concat, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { ed25519FromRaw, ed25519FromSeed, rawEd25519 } from '@edgekeep/core/identity/ed25519-seed';
import { hpkeOpen, hpkeSeal } from '@edgekeep/core/identity/hpke';
import { p256PointLength } from '@edgekeep/core/identity/p256-point';
import { encodeCanonicalJson, type Json } from '@edgekeep/core/json';

export const kekLength = 32;
const signingInfo = 'edgekeep hub keys signing v1';
const sealingInfo = 'edgekeep hub keys sealing v1';
const slotInfo = utf8('edgekeep hub keys slot v1');

export class KeyEncryptionKey implements Disposable {
  readonly version: number;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Seals entries. */
  readonly sealing: KeyObject;
  readonly #kek: Uint8Array;
  readonly #signing: KeyObject;

  /** Takes `kek` over and zeroes it when it is disposed of. */
  constructor(version: number, kek: Uint8Array) {
    if (kek.length !== kekLength) throw new TypeError('a key-encryption key of another length');
    this.version = version;
    this.#kek = kek;
    const seed = derive(kek, signingInfo);
    this.#signing = ed25519FromSeed(seed);
    seed.fill(0);
    this.publicKey = rawEd25519(this.#signing);
    const sealing = derive(kek, sealingInfo);
    this.sealing = createSecretKey(sealing);
    sealing.fill(0);
  }

  static make(version: number): KeyEncryptionKey {
    return new KeyEncryptionKey(version, randomBytes(kekLength));
  }

  /** By the key that is derived from it. */
  sign(value: Json): string {
    return toBase64url(sign(null, encodeCanonicalJson(value), this.#signing));
  }

  /** For one node. */
  sealTo(node: KeyObject, place: Json): Uint8Array {
    const aad = encodeCanonicalJson(place);
    const { encapsulatedKey, ciphertext } = hpkeSeal({
      recipientPublicKey: node,
      info: slotInfo,
      aad,
      plaintext: this.#kek,
    });
    return concat(encapsulatedKey, ciphertext);
  }

  [Symbol.dispose](): void {
    this.#kek.fill(0);
  }
}

/** The KEK that was sealed to this node; undefined where it was sealed to another one or elsewhere. */
export function openSlot(node: KeyObject, sealed: Uint8Array, place: Json): Uint8Array | undefined {
  try {
    return hpkeOpen({
      recipientPrivateKey: node,
      encapsulatedKey: sealed.subarray(0, p256PointLength),
      ciphertext: sealed.subarray(p256PointLength),
      info: slotInfo,
      aad: encodeCanonicalJson(place),
    });
  } catch (cause) {
    if (cause instanceof CoreError) return undefined;
    throw cause;
  }
}

/** Whether the key with these 32 bytes signed this value. */
export function isSigned(publicKey: Uint8Array, value: Json, signature: Uint8Array): boolean {
  return verify(null, encodeCanonicalJson(value), ed25519FromRaw(publicKey), signature);
}

function derive(kek: Uint8Array, info: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', kek, new Uint8Array(0), info, kekLength));
}
