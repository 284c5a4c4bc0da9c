// Random access to a FLOE file: only the segments with the requested bytes are fetched and decrypted. Opening it verifies the final
// segment, so the length of the plaintext is proven before anything is read.
import { CoreError } from '../error.ts';
import { decryptSegment, type FloeState, startDecryption } from './floe.ts';
import { floeHeaderLength, type FloeLayout, layoutOfCiphertext, segmentOverhead, segmentRange } from './floe-layout.ts';
import { assertRoom, cutHeader, type OpenOptions } from './floe-stream.ts';

/** Returns exactly `length` bytes from `offset` on; they must stay valid until the next call. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>;

/**
 * An open sealed file. Owns its keys: dispose it. Every returned plaintext is verified; a segment that does not verify throws
 * `sealed-model-invalid`.
 */
export class FloeReader {
  readonly layout: FloeLayout;
  readonly #state: FloeState;
  readonly #read: ReadAt;

  private constructor(state: FloeState, layout: FloeLayout, read: ReadAt) {
    this.#state = state;
    this.layout = layout;
    this.#read = read;
  }

  /** Verifies header and final segment. `ciphertextLength` is the length of the whole file in bytes. The caller keeps the key and zeroes it. */
  static async open(
    read: ReadAt,
    ciphertextLength: number,
    key: Uint8Array,
    associatedData: Uint8Array,
    options: OpenOptions = {},
  ): Promise<FloeReader> {
    if (ciphertextLength < floeHeaderLength) throw cutHeader(ciphertextLength);
    const state = startDecryption(key, associatedData, await exactly(read, 0, floeHeaderLength));
    try {
      assertRoom(state.segmentLength, options);
      const layout = layoutOfCiphertext(ciphertextLength, state.segmentLength);
      const reader = new FloeReader(state, layout, read);
      (await reader.segment(layout.segments - 1)).fill(0);
      return reader;
    } catch (error) {
      state[Symbol.dispose]();
      throw error;
    }
  }

  get plaintextLength(): number {
    return this.layout.plaintextLength;
  }

  /** The plaintext of one segment, in `into` (if given, long enough for it), else in new memory. */
  async segment(position: number, into?: Uint8Array): Promise<Uint8Array> {
    if (!Number.isSafeInteger(position) || position < 0 || position >= this.layout.segments) {
      throw new CoreError(
        'sealed-model-invalid',
        `sealed file: there is no segment ${position} among ${this.layout.segments}`,
      );
    }
    const { offset, length } = segmentRange(this.layout, position);
    const bytes = await exactly(this.#read, offset, length);
    return decryptSegment(this.#state, bytes, position, position === this.layout.segments - 1, into);
  }

  /**
   * `length` bytes of plaintext from `offset` on; a range that is not completely inside throws `bytes-truncated`. The caller owns and
   * zeroes them.
   */
  async read(offset: number, length: number): Promise<Uint8Array> {
    const end = offset + length;
    if (
      ![offset, length, end].every((value) => Number.isSafeInteger(value) && value >= 0) ||
      end > this.plaintextLength
    ) {
      throw new CoreError(
        'bytes-truncated',
        `sealed file: bytes ${offset} to ${end} were asked for, it has ${this.plaintextLength}`,
      );
    }
    const whole = new Uint8Array(length);
    const perSegment = this.layout.segmentLength - segmentOverhead;
    for (let at = offset; at < end;) {
      const position = Math.floor(at / perSegment);
      const from = at - position * perSegment;
      const room = whole.subarray(at - offset);
      // A segment that is needed whole is decrypted into its final place; of any other, a part is copied and the rest zeroed.
      const fits = from === 0 && room.length >= segmentRange(this.layout, position).length - segmentOverhead;
      const plaintext = await this.segment(position, fits ? room : undefined);
      const part = plaintext.subarray(from, Math.min(plaintext.length, from + room.length));
      if (!fits) {
        room.set(part);
        plaintext.fill(0);
      }
      at += part.length;
    }
    return whole;
  }

  [Symbol.dispose](): void {
    this.#state[Symbol.dispose]();
  }
}

async function exactly(read: ReadAt, offset: number, length: number): Promise<Uint8Array> {
  const bytes = await read(offset, length);
  if (bytes.length !== length) {
    throw new CoreError(
      'bytes-truncated',
      `sealed file: asked for ${length} bytes at offset ${offset}, got ${bytes.length}`,
    );
  }
  return bytes;
}
