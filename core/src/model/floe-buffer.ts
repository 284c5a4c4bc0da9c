// Collects one segment from chunks of any size. Its memory grows with the data that arrives, so a header that announces segments of 4 GiB
// alone costs nothing.

/** Memory that a segment starts with; the default segment length fits. */
const firstLength = 2 ** 20;

/** Collects up to `maxLength` bytes, with `before` and `after` bytes of room around them for work in place. Dispose it: its bytes are zeroed. */
export class SegmentBuffer {
  readonly #maxLength: number;
  readonly #before: number;
  readonly #after: number;
  #bytes: Uint8Array;
  #length = 0;

  constructor(maxLength: number, before = 0, after = 0) {
    this.#maxLength = maxLength;
    this.#before = before;
    this.#after = after;
    this.#bytes = new Uint8Array(before + Math.min(maxLength, firstLength) + after);
  }

  get isFull(): boolean {
    return this.#length === this.#maxLength;
  }

  /** The bytes collected since the last `clear`: a view. */
  get content(): Uint8Array {
    return this.#bytes.subarray(this.#before, this.#before + this.#length);
  }

  /** All of the memory, including `before` and `after`. */
  get memory(): Uint8Array {
    return this.#bytes;
  }

  /** Takes as much of `chunk` as there is room for and returns the rest. */
  take(chunk: Uint8Array): Uint8Array {
    const taken = chunk.subarray(0, this.#maxLength - this.#length);
    this.#makeRoom(this.#length + taken.length);
    this.#bytes.set(taken, this.#before + this.#length);
    this.#length += taken.length;
    return chunk.subarray(taken.length);
  }

  clear(): void {
    this.#length = 0;
  }

  [Symbol.dispose](): void {
    this.#bytes.fill(0);
    this.#length = 0;
  }

  #makeRoom(length: number): void {
    const around = this.#before + this.#after;
    const room = this.#bytes.length - around;
    if (length <= room) return;
    const larger = new Uint8Array(around + Math.min(this.#maxLength, Math.max(length, 2 * room)));
    larger.set(this.#bytes);
    this.#bytes.fill(0);
    this.#bytes = larger;
  }
}
