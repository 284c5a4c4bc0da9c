// The keys of one FLOE file (c2sp.org/FLOE, FLOE_KDF and DERIVE_KEY). Every output fits one block of SHA-384, so
// HKDF-Expand (RFC 5869 section 2.3) is a single HMAC over the info and the byte 0x01.
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { ByteWriter, concat, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { floeHeaderTagLength, floeKeyLength, SEGMENTS_MAX } from './floe-layout.ts';

/** AEAD_ROTATION_MASK: one AES key encrypts at most 2^20 segments. */
const rotationBitsDefault = 20;

const messageKeyLength = 48;

/** Parameters || IV || purpose || associated data: the input of every derivation of one file. */
export interface FloeContext {
  readonly parameters: Uint8Array;
  readonly iv: Uint8Array;
  readonly associatedData: Uint8Array;
}

/** FLOE_KDF(key, iv, aad, "HEADER_TAG:", 32): commits to key, parameters, IV and associated data. */
export function headerTag(key: Uint8Array, context: FloeContext): Uint8Array {
  return derive(key, context, utf8('HEADER_TAG:'), floeHeaderTagLength);
}

/** The keys of one file's segments, derived on demand. Owns the message key: dispose it to have that zeroed. */
export class FloeKeys {
  readonly #messageKey: Uint8Array;
  readonly #context: FloeContext;
  readonly #rotationBits: number;
  #epoch = -1;
  #epochKey: KeyObject | undefined;
  #zeroed = false;

  /** `rotationBits` is 20 in every file; the published vectors that exercise rotation use less. The caller keeps and zeroes `key`. */
  constructor(key: Uint8Array, context: FloeContext, rotationBits = rotationBitsDefault) {
    assertFloeKey(key);
    this.#context = context;
    this.#rotationBits = rotationBits;
    this.#messageKey = derive(key, context, utf8('MESSAGE_KEY:'), messageKeyLength);
  }

  /** DERIVE_KEY: the AES key of a segment, the same for 2^20 neighbours, so the last one is kept. */
  segmentKey(position: number): KeyObject {
    if (!Number.isSafeInteger(position) || position < 0 || position >= SEGMENTS_MAX) {
      throw new CoreError('sealed-model-invalid', `sealed file: there is no segment ${position}`);
    }
    if (this.#zeroed) throw new CoreError('sealed-model-key', 'sealed file: its keys were zeroed already');
    const epoch = Math.floor(position / 2 ** this.#rotationBits);
    if (this.#epochKey !== undefined && this.#epoch === epoch) return this.#epochKey;
    const masked = BigInt(epoch) << BigInt(this.#rotationBits);
    const purpose = new ByteWriter().bytes(utf8('DEK:')).u64(masked).finish();
    const bytes = derive(this.#messageKey, this.#context, purpose, floeKeyLength);
    const key = createSecretKey(bytes);
    bytes.fill(0);
    this.#epoch = epoch;
    this.#epochKey = key;
    return key;
  }

  [Symbol.dispose](): void {
    this.#messageKey.fill(0);
    this.#epochKey = undefined;
    this.#zeroed = true;
  }
}

/** Throws `sealed-model-key` for a key of any other length than 32 bytes. */
export function assertFloeKey(key: Uint8Array): void {
  if (key.length !== floeKeyLength) {
    throw new CoreError('sealed-model-key', `sealed file: a key has ${floeKeyLength} bytes, found ${key.length}`);
  }
}

function derive(key: Uint8Array, context: FloeContext, purpose: Uint8Array, length: number): Uint8Array {
  const info = concat(context.parameters, context.iv, purpose, context.associatedData);
  const block = createHmac('sha384', key).update(info).update(Uint8Array.of(1)).digest();
  const output = Uint8Array.from(block.subarray(0, length));
  block.fill(0);
  return output;
}
