// The kernel's IMA log, read in pieces of whole entries from the position that the hub has reached. The file grows while it is read, and
// its size cannot be trusted: reading stops at the end of the file.
import { open } from 'node:fs/promises';
import { imaEntryEnds } from '@edgekeep/core/attest/ima-log';
import { concat } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';

/** Of one read. With the beginning of an entry that was cut, a piece is below IMA_PIECE_BYTES_MAX. */
const chunkBytes = 256 * 1024;

export interface ImaPiece {
  /** How many entries come before it. */
  readonly from: number;
  readonly entries: number;
  readonly bytes: Uint8Array;
}

export class ImaLogFile {
  readonly #path: string;
  /** Where an entry begins that the hub reached recently, so that the part before it is not read again. */
  #place = { entries: 0, offset: 0 };

  constructor(path: string) {
    this.#path = path;
  }

  /** The part after the first `from` entries. Throws `ima-log-invalid` for a file that cannot be read, or is no IMA log. */
  async *pieces(from: number): AsyncGenerator<ImaPiece> {
    const start = from >= this.#place.entries ? this.#place : { entries: 0, offset: 0 };
    let { entries: index, offset } = start;
    let rest = new Uint8Array(0);
    const buffer = new Uint8Array(chunkBytes);
    const file = await open(this.#path).catch((cause: unknown) => this.#unreadable(cause));
    try {
      for (;;) {
        const read = file.read(buffer, 0, chunkBytes, offset + rest.length);
        const { bytesRead } = await read.catch((cause: unknown) => this.#unreadable(cause));
        if (bytesRead === 0) return;
        const bytes = concat(rest, buffer.subarray(0, bytesRead));
        const ends = imaEntryEnds(bytes);
        const known = Math.min(ends.length, Math.max(0, from - index));
        const begin = known === 0 ? 0 : (ends[known - 1] ?? 0);
        const end = ends.at(-1) ?? 0;
        if (ends.length > known) {
          yield { from: index + known, entries: ends.length - known, bytes: bytes.slice(begin, end) };
        }
        if (index + known <= from) this.#place = { entries: index + known, offset: offset + begin };
        index += ends.length;
        offset += end;
        rest = bytes.slice(end);
      }
    } finally {
      await file.close();
    }
  }

  #unreadable(cause: unknown): never {
    throw new CoreError('ima-log-invalid', `${this.#path}: it cannot be read`, { cause });
  }
}
