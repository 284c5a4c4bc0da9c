// Sealed files of models in a folder of this node, by content: `blobs/<first two hex digits>/<SHA-256>`. They are ciphertext. A file appears under its name only when
// it is complete, checked and on disk.
import { makeFolder } from '@edgekeep/host/make-folder';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { syncFolder } from '@edgekeep/host/durable-file';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { HubError } from '../common/error.ts';
import type { ArtifactStore, OnFault, StoredArtifact, Upload } from './artifact-store.ts';
import { Incoming } from './incoming.ts';

export class ArtifactFolder implements ArtifactStore {
  readonly #folder: string;
  readonly #incoming: Incoming;
  readonly #onFault: OnFault;

  constructor(folder: string, onFault: OnFault = () => undefined) {
    this.#folder = folder;
    this.#onFault = onFault;
    this.#incoming = new Incoming(join(folder, 'incoming'));
  }

  async put(source: Readable, maxSize: number, upload?: Upload): Promise<StoredArtifact> {
    using place = await (upload === undefined
      ? this.#incoming.anew()
      : this.#incoming.open(upload.name, upload.beginning));
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

  async open(sha256: string, start: number, end: number): Promise<Readable> {
    if (end < start) return Readable.from([]);
    const file = await orIfMissing(open(this.#path(sha256)), undefined);
    const size = (await file?.stat())?.size ?? 0;
    if (file !== undefined && size > end)
      return file.createReadStream({ start, end, highWaterMark: 256 * 1024, autoClose: true });
    await file?.close();
    const found = file === undefined ? 'it is not there' : `it has ${size} bytes`;
    const error = new HubError('artifact-lost', `the sealed file ${sha256} cannot be read from blobs/: ${found}`);
    this.#onFault(error, sha256);
    throw error;
  }

  async has(sha256: string, size: number): Promise<boolean> {
    const found = await orIfMissing(stat(this.#path(sha256)), undefined);
    return found?.size === size;
  }

  async remove(sha256: string, beforeMs: number): Promise<void> {
    const found = await orIfMissing(stat(this.#path(sha256)), undefined);
    if (found !== undefined && found.mtimeMs < beforeMs) await rm(this.#path(sha256), { force: true });
  }

  async *list(): AsyncGenerator<StoredArtifact & { readonly storedAtMs: number }> {
    for (const first of await orIfMissing(readdir(this.#folder), [])) {
      if (!/^[0-9a-f]{2}$/.test(first)) continue;
      for (const name of await readdir(join(this.#folder, first))) {
        const found = /^[0-9a-f]{64}$/.test(name) ? await orIfMissing(stat(this.#path(name)), undefined) : undefined;
        if (found?.isFile() === true) yield { sha256: name, size: found.size, storedAtMs: found.mtimeMs };
      }
    }
  }

  async offsetOf(upload: string): Promise<number> {
    return this.#incoming.offsetOf(upload);
  }

  #path(sha256: string): string {
    return join(this.#folder, sha256.slice(0, 2), sha256);
  }
}
