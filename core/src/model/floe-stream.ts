// Whole FLOE files front to back, in constant memory: the spec's online functions over any source of bytes (a file, a socket, stdin). One
// segment is collected, processed in place and returned, and its memory is used again.
import { CoreError } from '../error.ts';
import {
  decryptSegment,
  encryptSegment,
  type FloeState,
  type RandomBytes,
  startDecryption,
  startEncryption,
} from './floe.ts';
import { SegmentBuffer } from './floe-buffer.ts';
import {
  floeHeaderLength,
  segmentLengthDefault,
  segmentOverhead,
  segmentPrefixLength,
  segmentTagLength,
} from './floe-layout.ts';

export type ByteSource = AsyncIterable<Uint8Array>;

export interface SealOptions {
  readonly randomBytes: RandomBytes;
  /** Bytes of a whole encrypted segment, 33 to 2^32 - 2; 1 MiB when left out. */
  readonly segmentLength?: number | undefined;
}

/**
 * Encrypts `source`: yields the header and then every segment. A chunk is valid until the next one is requested.
 * The caller keeps the 32-byte key and zeroes it.
 */
export async function* encryptStream(
  source: ByteSource,
  key: Uint8Array,
  associatedData: Uint8Array,
  { randomBytes, segmentLength = segmentLengthDefault }: SealOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  using state = startEncryption(key, associatedData, segmentLength, randomBytes);
  using buffer = new SegmentBuffer(segmentLength - segmentOverhead, segmentPrefixLength, segmentTagLength);
  const encrypt = (position: number, isFinal: boolean) =>
    encryptSegment(state, buffer.content, position, isFinal, randomBytes, buffer.memory);
  yield state.header;
  let position = 0;
  for await (const chunk of source) {
    for (let rest = chunk; rest.length > 0; rest = buffer.take(rest)) {
      // Full, and more has arrived: only now is it known that this segment is not the final one.
      if (!buffer.isFull) continue;
      yield encrypt(position, false);
      buffer.clear();
      position += 1;
    }
  }
  yield encrypt(position, true);
}

export interface OpenOptions {
  /**
   * The longest segment that this reader makes room for, in bytes; left out: any valid length. The holder of the key chose the file's
   * segment length.
   */
  readonly maxSegmentLength?: number | undefined;
}

/**
 * Decrypts `source`: yields the plaintext of every segment, each only after it verified. A chunk is valid until the next one is requested.
 * The file is complete only when the generator ends without an error: throws `sealed-model-key` and `sealed-model-invalid`.
 */
export async function* decryptStream(
  source: ByteSource,
  key: Uint8Array,
  associatedData: Uint8Array,
  options: OpenOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  using opening = new Opening(key, associatedData, options);
  for await (const chunk of source) {
    for (let rest = chunk; rest.length > 0; rest = opening.take(rest)) {
      const plaintext = opening.innerSegment();
      if (plaintext !== undefined) yield plaintext;
    }
  }
  yield opening.finalSegment();
}

// The state of decryption between chunks: first the header is collected, then one segment after the other.
class Opening {
  readonly #key: Uint8Array;
  readonly #associatedData: Uint8Array;
  readonly #options: OpenOptions;
  #state: FloeState | undefined;
  #buffer = new SegmentBuffer(floeHeaderLength);
  #position = 0;

  constructor(key: Uint8Array, associatedData: Uint8Array, options: OpenOptions) {
    this.#key = key;
    this.#associatedData = associatedData;
    this.#options = options;
  }

  /** Called when more bytes have arrived: a full segment is then an inner one. Empties the buffer for the next. */
  innerSegment(): Uint8Array | undefined {
    if (!this.#buffer.isFull || this.#state === undefined) return undefined;
    const plaintext = this.#decrypt(this.#state, false);
    this.#buffer.clear();
    this.#position += 1;
    return plaintext;
  }

  take(chunk: Uint8Array): Uint8Array {
    const rest = this.#buffer.take(chunk);
    if (this.#state === undefined && this.#buffer.isFull) {
      this.#state = startDecryption(this.#key, this.#associatedData, this.#buffer.content);
      assertRoom(this.#state.segmentLength, this.#options);
      this.#buffer = new SegmentBuffer(this.#state.segmentLength);
    }
    return rest;
  }

  /** Called when no more bytes come: the rest is the final segment, or the file was cut short. */
  finalSegment(): Uint8Array {
    if (this.#state === undefined) throw cutHeader(this.#buffer.content.length);
    return this.#decrypt(this.#state, true);
  }

  #decrypt(state: FloeState, isFinal: boolean): Uint8Array {
    const segment = this.#buffer.content;
    return decryptSegment(state, segment, this.#position, isFinal, segment);
  }

  [Symbol.dispose](): void {
    this.#buffer[Symbol.dispose]();
    this.#state?.[Symbol.dispose]();
  }
}

/** The error of a file that ends inside its header. */
export function cutHeader(length: number): CoreError {
  return new CoreError(
    'sealed-model-invalid',
    `sealed file: cut short, it has ${length} of its header's ${floeHeaderLength} bytes`,
  );
}

/** Throws `sealed-model-invalid` when a file's segments are longer than this reader allows. */
export function assertRoom(segmentLength: number, { maxSegmentLength }: OpenOptions): void {
  if (maxSegmentLength !== undefined && segmentLength > maxSegmentLength) {
    throw new CoreError(
      'sealed-model-invalid',
      `sealed file: segments of ${segmentLength} bytes; this reader takes at most ${maxSegmentLength}`,
    );
  }
}
