// The bytes of one part while it grows, and their digests: of the part, which names its object, and of each block, so that a range is checked
// before a byte of it is passed on.
import { createHash } from 'node:crypto';

/** Every part of a file has this length but the last. An upload keeps one in memory. */
export const PART_BYTES = 8 * 1024 * 1024;
/** What is checked at once. */
export const BLOCK_BYTES = 256 * 1024;
const DIGEST_BYTES = 32;

export interface HashedPart {
  readonly bytes: Uint8Array;
  /** Lower-case hex. */
  readonly sha256: string;
  /** The digests of its blocks, one behind the other. */
  readonly blocks: Uint8Array;
}

export class GrowingPart {
  readonly #chunks: Uint8Array[] = [];
  readonly #whole = createHash('sha256');
  readonly #blocks: Uint8Array[] = [];
  #block = createHash('sha256');
  size = 0;

  get isFull(): boolean {
    return this.size === PART_BYTES;
  }

  /** Takes as many bytes as fit, and returns the others. */
  add(bytes: Uint8Array): Uint8Array {
    const taken = bytes.subarray(0, PART_BYTES - this.size);
    this.#chunks.push(taken);
    this.#whole.update(taken);
    for (let at = 0; at < taken.length;) {
      const some = taken.subarray(at, at + BLOCK_BYTES - (this.size % BLOCK_BYTES));
      this.#block.update(some);
      at += some.length;
      this.size += some.length;
      if (this.size % BLOCK_BYTES === 0) this.#endBlock();
    }
    return bytes.subarray(taken.length);
  }

  /** The part as it is now; nothing is added after it. */
  end(): HashedPart {
    if (this.size % BLOCK_BYTES !== 0) this.#endBlock();
    return {
      bytes: Buffer.concat(this.#chunks),
      sha256: this.#whole.digest('hex'),
      blocks: Buffer.concat(this.#blocks),
    };
  }

  #endBlock(): void {
    this.#blocks.push(this.#block.digest());
    this.#block = createHash('sha256');
  }
}

/** Whether these bytes, which begin with block `first` of a part, are what was stored. */
export function areBlocks(bytes: Uint8Array, first: number, blocks: Uint8Array): boolean {
  for (let at = 0, block = first; at < bytes.length; at += BLOCK_BYTES, block += 1) {
    const found = createHash('sha256')
      .update(bytes.subarray(at, at + BLOCK_BYTES))
      .digest();
    if (!found.equals(blocks.subarray(block * DIGEST_BYTES, (block + 1) * DIGEST_BYTES))) return false;
  }
  return true;
}
