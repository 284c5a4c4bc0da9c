// One file on its way into a bucket: part by part, each of which is kept once its object and its row are durable.
import { createHash, type Hash } from 'node:crypto';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import type { Clock } from '../common/clock.ts';
import {
  addPart,
  beginFile,
  type Begun,
  completeFile,
  continueFile,
  findUpload,
  keyOf,
  type Writing,
} from './artifact-rows.ts';
import type { StoredArtifact, UploadStart } from './artifact-store.ts';
import type { Bucket } from './bucket.ts';
import { BLOCK_BYTES, GrowingPart, PART_BYTES } from './part-hash.ts';

export interface BucketPlace {
  readonly database: Pick<Database, 'read' | 'write'>;
  readonly bucket: Bucket;
  readonly clock: Clock;
}

export class IncomingFile {
  readonly #place: BucketPlace;
  readonly #writing: Writing;
  readonly #hash: Hash;
  #part: GrowingPart;
  #number: number;
  #size: number;
  /** The object of a part that its new bytes take the place of. */
  #replaced: string | undefined;
  /** Whether the newest bytes were refused: they are not tried a second time. */
  #failed = false;

  private constructor(place: BucketPlace, writing: Writing, kept: Kept) {
    this.#place = place;
    this.#writing = writing;
    this.#hash = kept.hash;
    this.#part = kept.part;
    this.#number = kept.number;
    this.#size = kept.size;
    this.#replaced = kept.replaced;
  }

  /** After `beginning` of an upload, or from the start. Throws `upload-differs` where there are fewer or other bytes than the sender says. */
  static async open(place: BucketPlace, upload: string | undefined, beginning?: UploadStart): Promise<IncomingFile> {
    const { database, clock } = place;
    if (beginning === undefined || upload === undefined) {
      const writing = await database.write((trx) => beginFile(trx, upload, clock()));
      return new IncomingFile(place, writing, { ...nothing(), number: 0, size: 0 });
    }
    const begun = await findUpload(database.read, upload);
    const here = sizeOf(begun);
    if (begun === undefined || here < beginning.offset)
      throw new HubError('upload-differs', `only ${here} bytes of this file are here: send it from its beginning`);
    if (begun.file.part_bytes !== PART_BYTES || begun.file.block_bytes !== BLOCK_BYTES)
      throw new HubError('upload-differs', 'another version of the hub began this file: send it from its beginning');
    const kept = await keep(place, begun, beginning.offset);
    if (kept.hash.copy().digest('hex') !== beginning.sha256)
      throw new HubError('upload-differs', 'the hub has other bytes of this file: send it from its beginning');
    // The part where the sender goes on stays until its new bytes take its place.
    const forgotten = kept.part.size === 0 ? kept.number : kept.number + 1;
    const writing = await database.write((trx) => continueFile(trx, begun, forgotten, clock()));
    return new IncomingFile(place, writing, kept);
  }

  get size(): number {
    return this.#size;
  }

  async add(chunk: Uint8Array): Promise<void> {
    this.#hash.update(chunk);
    this.#size += chunk.length;
    for (let left = chunk; left.length > 0;) {
      left = this.#part.add(left);
      if (this.#part.isFull) await this.#store();
    }
  }

  /** Keeps what came since the last full part: a sender that comes back goes on behind it. */
  async keep(): Promise<void> {
    if (this.#part.size > 0 && !this.#failed) await this.#store();
  }

  async complete(): Promise<StoredArtifact> {
    await this.keep();
    const stored = { sha256: this.#hash.digest('hex'), size: this.#size };
    const { database, clock } = this.#place;
    await database.write((trx) => completeFile(trx, this.#writing, stored, clock()));
    return stored;
  }

  // The object first: a row without its object would be a hole.
  async #store(): Promise<void> {
    this.#failed = true;
    const { database, bucket, clock } = this.#place;
    const { bytes, sha256, blocks } = this.#part.end();
    const part = { number: this.#number, sha256, size: bytes.length, blocks };
    await bucket.put(keyOf(this.#writing.id, part), bytes);
    await database.write((trx) => addPart(trx, this.#writing, part, clock()));
    const replaced = this.#replaced;
    this.#replaced = undefined;
    if (replaced !== undefined && replaced !== keyOf(this.#writing.id, part)) await bucket.remove(replaced);
    this.#part = new GrowingPart();
    this.#number += 1;
    this.#failed = false;
  }
}

export function sizeOf(begun: Begun | undefined): number {
  return begun?.parts.reduce((sum, { size }) => sum + size, 0) ?? 0;
}

const nothing = () => ({ hash: createHash('sha256'), part: new GrowingPart() });

interface Kept {
  /** Over all bytes before. */
  readonly hash: Hash;
  /** The part where the sender goes on, as far as it stays. */
  readonly part: GrowingPart;
  readonly number: number;
  readonly size: number;
  readonly replaced?: string;
}

/** Reads the parts up to an offset again. Throws `upload-differs` where one is missing or is not what was stored. */
async function keep({ bucket }: BucketPlace, { file, parts }: Begun, offset: number): Promise<Kept> {
  const hash = createHash('sha256');
  let part = new GrowingPart();
  let size = 0;
  let number = 0;
  for (const known of parts) {
    if (size === offset) break;
    const bytes = await bucket.getWhole(keyOf(file.id, known), known.size);
    if (bytes === undefined || createHash('sha256').update(bytes).digest('hex') !== known.sha256)
      throw new HubError('upload-differs', 'what came of this file is lost or damaged: send it from its beginning');
    const kept = bytes.subarray(0, offset - size);
    hash.update(kept);
    size += kept.length;
    part = new GrowingPart();
    part.add(kept);
    number = known.number;
    if (!part.isFull) continue;
    part = new GrowingPart();
    number += 1;
  }
  const last = parts.find((each) => each.number === number);
  return { hash, part, number, size, ...(last === undefined ? {} : { replaced: keyOf(file.id, last) }) };
}
