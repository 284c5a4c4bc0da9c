// Sealed files on disk, by content: `blobs/<first two hex digits>/<SHA-256>`. What is here is ciphertext; a file appears under its name
// only when it is whole, checked and on disk.
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, open, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { orIfMissing } from '@edgekeep/core/missing-file';
import { HubError } from '../error.ts';

export class Blobs {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Stores a stream of at most `sizeMost` bytes; resolves once it is durable. */
  async put(source: Readable, sizeMost: number): Promise<{ readonly sha256: string; readonly size: number }> {
    const temporary = join(this.#folder, 'incoming', randomUUID());
    await mkdir(dirname(temporary), { recursive: true });
    try {
      const hash = createHash('sha256');
      let size = 0;
      await pipeline(
        source,
        async function* count(chunks: AsyncIterable<Uint8Array>) {
          for await (const chunk of chunks) {
            size += chunk.length;
            if (size > sizeMost)
              throw new HubError('payload-too-large', `more than the ${sizeMost} bytes this file may have`);
            hash.update(chunk);
            yield chunk;
          }
        },
        createWriteStream(temporary, { mode: 0o600, flush: true }),
      );
      const sha256 = hash.digest('hex');
      const path = this.#path(sha256);
      await mkdir(dirname(path), { recursive: true });
      await rename(temporary, path);
      await syncFolder(dirname(path));
      return { sha256, size };
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Bytes `start` to `end` (inclusive) of a stored file. */
  read(sha256: string, start: number, end: number): Readable {
    return createReadStream(this.#path(sha256), { start, end, highWaterMark: 256 * 1024 });
  }

  async has(sha256: string, size: number): Promise<boolean> {
    const found = await orIfMissing(stat(this.#path(sha256)), undefined);
    return found?.size === size;
  }

  #path(sha256: string): string {
    return join(this.#folder, sha256.slice(0, 2), sha256);
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
