// Sealed files on disk, by content: `blobs/<first two hex digits>/<SHA-256>`. They are ciphertext. A file appears under its name only when
// it is complete, checked and on disk.
import { makeFolder } from '@edgekeep/host/make-folder';
import { createReadStream } from 'node:fs';
import { open, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { addAbortSignal, type Readable } from 'node:stream';
import { syncFolder } from '@edgekeep/host/durable-file';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { HubError } from '../common/error.ts';
import { type UploadStart, Incoming } from './incoming.ts';

export class Blobs {
  readonly #folder: string;

  /** Files that are being sent. */
  readonly incoming: Incoming;

  constructor(folder: string) {
    this.#folder = folder;
    this.incoming = new Incoming(join(folder, 'incoming'));
  }

  /**
   * Stores a stream of at most `maxSize` bytes; resolves once it is durable. When the stream breaks off, the received part of an `upload`
   * stays, and a later call continues after `beginning`.
   */
  async put(
    source: Readable,
    maxSize: number,
    upload?: { readonly name: string; readonly beginning: UploadStart | undefined },
  ): Promise<{ readonly sha256: string; readonly size: number }> {
    using place = await (upload === undefined
      ? this.incoming.anew()
      : this.incoming.open(upload.name, upload.beginning));
    const { hash } = place;
    let size = place.offset;
    const file = await open(place.path, 'a', 0o600);
    try {
      addAbortSignal(place.signal, source);
      for await (const chunk of source) {
        if (!(chunk instanceof Uint8Array)) throw new TypeError('a file is sent as bytes');
        size += chunk.length;
        if (size > maxSize)
          throw new HubError('payload-too-large', `more than the ${maxSize} bytes this file may have`);
        hash.update(chunk);
        await file.appendFile(chunk);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    const sha256 = hash.digest('hex');
    const path = this.#path(sha256);
    await makeFolder(dirname(path));
    await rename(place.path, path);
    await syncFolder(dirname(path));
    return { sha256, size };
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
