// Sealed files are FLOE (c2sp.org/FLOE): AES-256-GCM segments that can be read in any order, each bound to its position, to the key and to
// the associated data. This file has the spec's four functions: start and segment, encrypt and decrypt. floe-stream.ts streams whole files
// and floe-reader.ts reads at random; those are harder to misuse.
import { createCipheriv, createDecipheriv } from 'node:crypto';
import { concat, equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { assertFloeKey, type FloeContext, FloeKeys, headerTag } from './floe-keys.ts';
import {
  encodeParameters,
  floeHeaderTagLength,
  floeIvLength,
  innerSegmentMark,
  parseParameters,
  segmentOverhead,
  segmentPrefixLength,
  SEGMENTS_MAX,
  segmentTagLength,
} from './floe-layout.ts';

/** A source of cryptographically random bytes, for example node:crypto's `randomBytes`. */
export type RandomBytes = (length: number) => Uint8Array;

/** The state between the segments of one file. Owns `keys`: dispose it after the last segment. */
export interface FloeState {
  readonly header: Uint8Array;
  readonly segmentLength: number;
  readonly keys: FloeKeys;
  [Symbol.dispose](): void;
}

// Node returns cipher output in new memory that only the garbage collector frees. In pieces of this size, copied out and released at once,
// memory stays flat and fast; pieces of a whole segment leave 80 MiB of garbage.
const pieceLength = 64 * 1024;

const parametersLength = 10;
const aeadIvLength = 12;

/** startEncryption: draws the file's IV and makes its header. The caller keeps the 32-byte key and zeroes it. */
export function startEncryption(
  key: Uint8Array,
  associatedData: Uint8Array,
  segmentLength: number,
  randomBytes: RandomBytes,
): FloeState {
  assertFloeKey(key);
  const parameters = encodeParameters(segmentLength);
  const context = { parameters, iv: randomBytes(floeIvLength), associatedData };
  const header = concat(parameters, context.iv, headerTag(key, context));
  return stateOf(header, segmentLength, new FloeKeys(key, context));
}

/**
 * startDecryption: authenticates a header, including its parameters, before they are used. Throws `sealed-model-invalid` when it is not a
 * FLOE header, and `sealed-model-key` when key, associated data or header are not those of the sealing. `rotationBits` is for published
 * vectors only.
 */
export function startDecryption(
  key: Uint8Array,
  associatedData: Uint8Array,
  header: Uint8Array,
  rotationBits?: number,
): FloeState {
  assertFloeKey(key);
  const segmentLength = parseParameters(header);
  const parameters = copy(header.subarray(0, parametersLength));
  const iv = copy(header.subarray(parametersLength, parametersLength + floeIvLength));
  const context: FloeContext = { parameters, iv, associatedData };
  if (!equalBytes(headerTag(key, context), header.subarray(-floeHeaderTagLength))) {
    throw new CoreError(
      'sealed-model-key',
      'sealed file: the key or the associated data is not what it was sealed with, or its header was changed',
    );
  }
  return stateOf(copy(header), segmentLength, new FloeKeys(key, context, rotationBits));
}

function stateOf(header: Uint8Array, segmentLength: number, keys: FloeKeys): FloeState {
  return { header, segmentLength, keys, [Symbol.dispose]: () => keys[Symbol.dispose]() };
}

/**
 * encryptSegment: writes one encrypted segment to `into` (at least the plaintext and 32 bytes) and returns the part that was written.
 * `plaintext` may already be in `into`, 16 bytes after its start: it is then encrypted in place. An inner segment must be full; position
 * and final mark must each be used once.
 */
export function encryptSegment(
  state: FloeState,
  plaintext: Uint8Array,
  position: number,
  isFinal: boolean,
  randomBytes: RandomBytes,
  into: Uint8Array = new Uint8Array(plaintext.length + segmentOverhead),
): Uint8Array {
  const maxLength = state.segmentLength - segmentOverhead;
  if (isFinal ? plaintext.length > maxLength : plaintext.length !== maxLength) {
    throw new CoreError(
      'sealed-model-invalid',
      `sealed file: segment ${position} of ${plaintext.length} bytes does not fit a segment length of ${state.segmentLength}`,
    );
  }
  assertPosition(position, isFinal);
  const length = plaintext.length + segmentOverhead;
  const segment = into.subarray(0, length);
  const aeadIv = randomBytes(aeadIvLength);
  const cipher = createCipheriv('aes-256-gcm', state.keys.segmentKey(position), aeadIv);
  cipher.setAAD(segmentAssociatedData(position, isFinal));
  transform(cipher, plaintext, segment.subarray(segmentPrefixLength, length - segmentTagLength), false);
  cipher.final();
  writeU32(segment, isFinal ? length : innerSegmentMark);
  segment.set(aeadIv, 4);
  segment.set(cipher.getAuthTag(), length - segmentTagLength);
  return segment;
}

/**
 * decryptSegment: returns a segment's plaintext, in `into`, only after its tag verified; else zeroes `into` and throws
 * `sealed-model-invalid`. `into` may begin where `segment` begins: it is then decrypted in place. `isFinal` comes from the file's length,
 * never from the segment.
 */
export function decryptSegment(
  state: FloeState,
  segment: Uint8Array,
  position: number,
  isFinal: boolean,
  into: Uint8Array = new Uint8Array(Math.max(0, segment.length - segmentOverhead)),
): Uint8Array {
  assertSegmentForm(state, segment, position, isFinal);
  const aeadIv = segment.subarray(4, segmentPrefixLength);
  const plaintext = into.subarray(0, segment.length - segmentOverhead);
  const decipher = createDecipheriv('aes-256-gcm', state.keys.segmentKey(position), aeadIv, {
    authTagLength: segmentTagLength,
  });
  decipher.setAAD(segmentAssociatedData(position, isFinal));
  decipher.setAuthTag(segment.subarray(-segmentTagLength));
  try {
    transform(decipher, segment.subarray(segmentPrefixLength, -segmentTagLength), plaintext, true);
    decipher.final();
  } catch (cause) {
    plaintext.fill(0);
    throw new CoreError('sealed-model-invalid', `sealed file: segment ${position} does not verify`, { cause });
  }
  return plaintext;
}

function assertSegmentForm(state: FloeState, segment: Uint8Array, position: number, isFinal: boolean): void {
  assertPosition(position, isFinal);
  const { length } = segment;
  if (length > state.segmentLength || length < (isFinal ? segmentOverhead : state.segmentLength)) {
    throw new CoreError('sealed-model-invalid', `sealed file: segment ${position} was cut: ${length} bytes are left`);
  }
  const field = readU32(segment);
  if (field === (isFinal ? length : innerSegmentMark)) return;
  throw new CoreError('sealed-model-invalid', `sealed file: ${fieldComplaint(position, isFinal, field, length)}`);
}

function fieldComplaint(position: number, isFinal: boolean, field: number, length: number): string {
  if (!isFinal) return `segment ${position} says it is the final one, of ${field} bytes, and more follows`;
  if (field === innerSegmentMark)
    return `it ends with segment ${position}, which is not its final one: it was cut short`;
  return `final segment ${position} says it has ${field} bytes, and has ${length}`;
}

// The last possible position is for a final segment only.
function assertPosition(position: number, isFinal: boolean): void {
  if (!isFinal && position >= SEGMENTS_MAX - 1) {
    throw new CoreError('sealed-model-invalid', `sealed file: more than ${SEGMENTS_MAX} segments`);
  }
}

interface Transformer {
  update(piece: Uint8Array): Buffer;
}

// Each piece is complete before it is written, and is written no further than the pieces read before, so `from` and `to` may overlap.
function transform(through: Transformer, from: Uint8Array, to: Uint8Array, secret: boolean): void {
  for (let offset = 0; offset < from.length; offset += pieceLength) {
    const piece = through.update(from.subarray(offset, offset + pieceLength));
    to.set(piece, offset);
    if (secret) piece.fill(0);
    release(piece);
  }
}

// Detaching returns the memory now instead of at some later garbage collection. A piece in shared memory (Node's pool) is left alone.
function release(piece: Buffer): void {
  if (piece.buffer instanceof ArrayBuffer && piece.buffer.byteLength === piece.length) piece.buffer.transfer(0);
}

/** I2BE(position, 8) || 0x01 for the final segment, 0x00 for an inner one. */
function segmentAssociatedData(position: number, isFinal: boolean): Uint8Array {
  const bytes = new Uint8Array(9);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(position));
  view.setUint8(8, isFinal ? 1 : 0);
  return bytes;
}

// Not `slice`, which gives a view when the bytes are a Buffer.
function copy(bytes: Uint8Array): Uint8Array {
  return Uint8Array.from(bytes);
}

function writeU32(bytes: Uint8Array, value: number): void {
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).setUint32(0, value);
}

function readU32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
}
