// Parts of evidence in the bucket that all nodes share: `evidence/<first two hex digits>/<SHA-256>`. A content is written again from time to time
// while releases rest on it, so that the age of an object says that no node is about to name it.
import { LruMap } from 'toad-cache';
import { sha256Hex } from '@edgekeep/core/digest';
import type { Bucket } from '../artifact/bucket.ts';
import type { OnFault } from '../artifact/artifact-store.ts';
import { forDevices } from '../artifact/for-devices.ts';
import type { Clock } from '../common/clock.ts';
import type { EvidenceContent, EvidenceStore, StoredContent } from './evidence-store.ts';

/** So long a node relies on what it has written. */
const WRITTEN_MS = 600_000;
const WRITTEN_MAX = 20_000;
/** An object of this age was not written by a release under way; clocks and listings may be hours behind. */
const STRANGER_MS = 86_400_000;
/** Larger than any log that a device may send. */
const CONTENT_BYTES_MAX = 64 * 1024 * 1024;
const named = /^evidence\/[0-9a-f]{2}\/([0-9a-f]{64})$/;

export class EvidenceObjects implements EvidenceStore {
  readonly isShared = true;
  readonly #bucket: Bucket;
  readonly #clock: Clock;
  readonly #onFault: OnFault;
  /** When; by digest. */
  readonly #written = new LruMap<number>(WRITTEN_MAX);
  /** Digests that were seen to be gone, and whether they were written since. */
  readonly #gone = new LruMap<boolean>(WRITTEN_MAX);

  onGrown: (bytes: number) => boolean = () => false;
  #grownBytes = 0;

  constructor(bucket: Bucket, clock: Clock, onFault: OnFault) {
    this.#bucket = bucket;
    this.#clock = clock;
    this.#onFault = onFault;
  }

  async put({ sha256, size, bytes }: EvidenceContent): Promise<StoredContent> {
    const nowMs = this.#clock();
    if (nowMs - (this.#written.get(sha256) ?? Number.NEGATIVE_INFINITY) >= WRITTEN_MS) {
      const isGone = this.#gone.get(sha256) !== undefined;
      try {
        await this.#bucket.put(keyOf(sha256), await bytes());
      } catch (error) {
        this.#onFault(error);
        throw forDevices(error);
      }
      this.#written.set(sha256, nowMs);
      if (isGone) this.#gone.set(sha256, true);
      this.#grownBytes += size;
      if (this.onGrown(this.#grownBytes)) this.#grownBytes = 0;
    }
    return { sha256, size };
  }

  release(): void {
    // Its age holds it.
  }

  forget(digests: readonly string[], isGone: boolean): void {
    for (const sha256 of digests) {
      this.#written.delete(sha256);
      if (isGone) this.#gone.set(sha256, false);
    }
  }

  isWrittenAnew(sha256: string): boolean {
    return this.#gone.get(sha256) === true;
  }

  async read(sha256: string): Promise<Uint8Array | undefined> {
    const bytes = await this.#bucket.getWhole(keyOf(sha256), CONTENT_BYTES_MAX);
    return bytes === undefined || sha256Hex(bytes) !== sha256 ? undefined : bytes;
  }

  async remove(sha256: string): Promise<void> {
    // A release may have written it since it was listed.
    for await (const each of this.#old(keyOf(sha256))) if (each === sha256) await this.#bucket.remove(keyOf(sha256));
  }

  list(): AsyncGenerator<string> {
    return this.#old('evidence/');
  }

  async *#old(prefix: string): AsyncGenerator<string> {
    const beforeMs = this.#clock() - STRANGER_MS;
    for await (const { key, modifiedMs } of this.#bucket.list(prefix)) {
      const sha256 = named.exec(key)?.[1];
      if (sha256 !== undefined && modifiedMs < beforeMs) yield sha256;
    }
  }
}

const keyOf = (sha256: string) => `evidence/${sha256.slice(0, 2)}/${sha256}`;
