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

const keptMs = 7 * 86_400_000;

/** How many bytes the hub has, according to the sender. */
export interface UploadStart {
  readonly offset: number;
  /** SHA-256 of the bytes before it, hex. */
  readonly sha256: string;
}

export interface Opened {
  readonly path: string;
  /** A hash over the bytes that exist already. */
  readonly hash: Hash;
  readonly offset: number;
  /** Aborted when the sender returns over another connection. */
  readonly signal: AbortSignal;
  [Symbol.dispose](): void;
}

export class Incoming {
  readonly #folder: string;
  readonly #open = new Map<string, { readonly control: AbortController; readonly ended: Promise<void> }>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The number of bytes of an upload that are here; 0 for none. */
  async offsetOf(upload: string): Promise<number> {
    return (await sizeOf(this.#pathOf(upload))) ?? 0;
  }

  /**
   * Opens a place for an upload: after `beginning`, or from the start. Ends an earlier request that still sends this upload: its connection
   * may be dead without notice. Throws `upload-differs` where the hub has fewer or other bytes than the sender says.
   */
  async open(upload: string, beginning: UploadStart | undefined): Promise<Opened> {
    for (let before = this.#open.get(upload); before !== undefined; before = this.#open.get(upload)) {
      before.control.abort(new HubError('conflict', 'another request sends this file now'));
      await before.ended;
    }
    const control = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#open.set(upload, { control, ended });
    const path = this.#pathOf(upload);
    const dispose = () => {
      this.#open.delete(upload);
      resolve();
    };
    try {
      await makeFolder(this.#folder);
      await this.#clearOld();
      const hash = await keep(path, beginning ?? { offset: 0, sha256: '' });
      if (beginning !== undefined && hash.copy().digest('hex') !== beginning.sha256)
        throw new HubError('upload-differs', 'the hub has other bytes of this file: send it from its beginning');
      const { signal } = control;
      return { path, hash, offset: beginning?.offset ?? 0, signal, [Symbol.dispose]: dispose };
    } catch (error) {
      dispose();
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
    const oldestMs = Date.now() - keptMs;
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
