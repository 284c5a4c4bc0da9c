// Parts of evidence in a folder of this node, by content: `evidence/<first two hex digits>/<SHA-256>`. A boot's log is there once, for every receipt that
// rests on it. A file appears under its name only when it is complete and on disk.
import { readdir, readFile, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { sha256Hex } from '@edgekeep/core/digest';
import { writeFileOnce } from '@edgekeep/host/durable-file';
import { performance } from 'node:perf_hooks';
import { makeFolder } from '@edgekeep/host/make-folder';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { LruMap } from 'toad-cache';
import type { EvidenceContent, EvidenceStore, StoredContent } from './evidence-store.ts';

// Each release rests on files that are there since the first one: the disk is asked for one again after this time. Of a file that somebody removed
// behind the hub, the receipts of that time have no long form.
const ASKED_AGAIN_MS = 600_000;
/** About 200 bytes each. */
const FILES_KNOWN_MAX = 50_000;

export class EvidenceFiles implements EvidenceStore {
  readonly isShared = false;
  readonly #folder: string;
  /** When a file was last seen, on the machine's monotone clock. */
  readonly #seenMs = new LruMap<number>(FILES_KNOWN_MAX);
  /** How many releases under way rely on a file that no row names yet. */
  readonly #held = new Map<string, number>();

  onGrown: (bytes: number) => boolean = () => false;
  #grownBytes = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async put({ sha256, size, bytes }: EvidenceContent): Promise<StoredContent> {
    this.#held.set(sha256, (this.#held.get(sha256) ?? 0) + 1);
    const seenMs = this.#seenMs.get(sha256);
    if (seenMs !== undefined && performance.now() - seenMs < ASKED_AGAIN_MS) return { sha256, size };
    try {
      const path = this.#path(sha256);
      const found = await orIfMissing(stat(path), undefined);
      if (found === undefined) {
        await makeFolder(dirname(path), { mode: 0o700 });
        await writeFileOnce(path, await bytes());
        this.#grownBytes += size;
        if (this.onGrown(this.#grownBytes)) this.#grownBytes = 0;
      }
      this.#seenMs.set(sha256, performance.now());
    } catch (error) {
      this.release([sha256]);
      throw error;
    }
    return { sha256, size };
  }

  release(digests: readonly string[]): void {
    for (const sha256 of digests) {
      const left = (this.#held.get(sha256) ?? 0) - 1;
      if (left > 0) this.#held.set(sha256, left);
      else this.#held.delete(sha256);
    }
  }

  forget(): void {
    // No other node removes files here.
  }

  isWrittenAnew(): boolean {
    return false;
  }

  async read(sha256: string): Promise<Uint8Array | undefined> {
    const bytes = await orIfMissing(readFile(this.#path(sha256)), undefined);
    return bytes === undefined || sha256Hex(bytes) !== sha256 ? undefined : bytes;
  }

  async remove(sha256: string): Promise<void> {
    if (this.#held.has(sha256)) return;
    this.#seenMs.delete(sha256);
    await rm(this.#path(sha256), { force: true });
  }

  async *list(): AsyncGenerator<string> {
    const entries = await orIfMissing(readdir(this.#folder, { recursive: true, withFileTypes: true }), []);
    for (const entry of entries) if (entry.isFile() && /^[0-9a-f]{64}$/.test(entry.name)) yield entry.name;
  }

  #path(sha256: string): string {
    return join(this.#folder, sha256.slice(0, 2), sha256);
  }
}
