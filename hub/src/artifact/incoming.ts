// Files that are being sent (spec/api.md, "Uploads"). The part that arrived before a connection was lost is kept for a week, under a name
// of its upload. The sender continues after it once it has shown that both sides mean the same bytes.
import { makeFolder } from '@edgekeep/host/make-folder';
import { sha256Hex } from '@edgekeep/core/digest';
import { createHash, type Hash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rm, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { HubError } from '../common/error.ts';
import { UPLOAD_KEPT_MS, type UploadStart } from './artifact-store.ts';
import { type Sender, Senders } from './senders.ts';

interface Opened extends Sender {
  readonly path: string;
  /** A hash over the bytes that exist already. */
  readonly hash: Hash;
  readonly offset: number;
}

export class Incoming {
  readonly #folder: string;
  readonly #senders = new Senders();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The number of bytes of an upload that are here; 0 for none. */
  async offsetOf(upload: string): Promise<number> {
    return (await sizeOf(this.#pathOf(upload))) ?? 0;
  }

  /**
   * Opens a place for an upload: after `beginning`, or from the start. Ends an earlier request that still sends this upload. Throws
   * `upload-differs` where the hub has fewer or other bytes than the sender says.
   */
  async open(upload: string, beginning: UploadStart | undefined): Promise<Opened> {
    const sender = await this.#senders.take(upload);
    const path = this.#pathOf(upload);
    try {
      await makeFolder(this.#folder);
      await this.#clearOld();
      const hash = await keep(path, beginning ?? { offset: 0, sha256: '' });
      if (beginning !== undefined && hash.copy().digest('hex') !== beginning.sha256)
        throw new HubError('upload-differs', 'the hub has other bytes of this file: send it from its beginning');
      return { path, hash, offset: beginning?.offset ?? 0, ...sender };
    } catch (error) {
      sender[Symbol.dispose]();
      throw error;
    }
  }

  /** An upload that nobody continues. */
  async anew(): Promise<Opened> {
    return this.open(randomUUID(), undefined);
  }

  #pathOf(upload: string): string {
    return join(this.#folder, sha256Hex(upload));
  }

  async #clearOld(): Promise<void> {
    const oldestMs = Date.now() - UPLOAD_KEPT_MS;
    for (const name of await readdir(this.#folder)) {
      const path = join(this.#folder, name);
      const found = await orIfMissing(stat(path), undefined);
      if (found !== undefined && found.mtimeMs < oldestMs) await rm(path, { force: true });
    }
  }
}

// Cuts the file at the offset where the sender continues, and hashes the part that stays.
async function keep(path: string, { offset }: UploadStart): Promise<Hash> {
  const size = (await sizeOf(path)) ?? 0;
  if (size < offset)
    throw new HubError('upload-differs', `only ${size} bytes of this file are here: send it from its beginning`);
  if (size === 0) await (await open(path, 'a', 0o600)).close();
  else await truncate(path, offset);
  const hash = createHash('sha256');
  if (offset > 0) for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash;
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
