// Sealed files in a bucket that all nodes share. A file is a row of parts, each an object of its own, so that a part is kept once it has come, on
// whichever node. A range is read in small pieces, each checked against its digest before it is passed on: what the bucket's owner changed, cut
// short or swapped reaches no device, and a device that reads slowly occupies no connection to the bucket.
import { randomUUID } from 'node:crypto';
import { addAbortSignal, Readable } from 'node:stream';
import { HubError } from '../common/error.ts';
import type { ArtifactFileRow, ArtifactPartRow } from '../store/tables/artifact.ts';
import { completeAfter, endFile, findComplete, findPart, findUpload, keyOf } from './artifact-rows.ts';
import type { ArtifactStore, OnFault, StoredArtifact, Upload } from './artifact-store.ts';
import { type BucketPlace, IncomingFile, sizeOf } from './incoming-file.ts';
import { areBlocks } from './part-hash.ts';
import { Senders } from './senders.ts';

/** Blocks that are read at once; each download keeps one such piece in memory. */
const PIECE_BLOCKS = 4;
/** With the pieces above, what downloads take of memory is 256 MiB at most; others are asked to come back. */
const DOWNLOADS_MAX = 256;
/** Each keeps a part in memory. */
const UPLOADS_MAX = 12;
const BUSY_SECONDS = 5;
/** A device that takes no byte for so long has gone, or wants to occupy a download. */
const STALLED_MS = 60_000;
const LISTED_AT_ONCE = 200;

export class BucketArtifacts implements ArtifactStore {
  readonly #place: BucketPlace;
  readonly #onFault: OnFault;
  readonly #senders = new Senders();
  #uploads = 0;
  #downloads = 0;

  constructor(place: BucketPlace, onFault: OnFault) {
    this.#place = place;
    this.#onFault = onFault;
  }

  get downloads(): number {
    return this.#downloads;
  }

  async put(source: Readable, maxSize: number, upload?: Upload): Promise<StoredArtifact> {
    using sender = await this.#senders.take(upload?.name ?? randomUUID());
    if (this.#uploads >= UPLOADS_MAX) throw busy(`${UPLOADS_MAX} files are being sent now`);
    this.#uploads += 1;
    try {
      const file = await IncomingFile.open(this.#place, upload?.name, upload?.beginning);
      addAbortSignal(sender.signal, source);
      try {
        for await (const chunk of source) {
          if (!(chunk instanceof Uint8Array)) throw new TypeError('a file is sent as bytes');
          if (file.size + chunk.length > maxSize)
            throw new HubError('payload-too-large', `more than the ${maxSize} bytes this file may have`);
          await file.add(chunk);
        }
      } catch (error) {
        // Nobody was promised these bytes: where they cannot be kept, the sender goes on before them.
        if (upload !== undefined) await file.keep().catch(() => undefined);
        throw error;
      }
      return await file.complete();
    } catch (error) {
      this.#onFault(error);
      throw error;
    } finally {
      this.#uploads -= 1;
    }
  }

  async open(sha256: string, start: number, end: number): Promise<Readable> {
    if (end < start) return Readable.from([]);
    const control = new AbortController();
    const pieces = this.#pieces(sha256, { start, end }, control);
    // A failure with the first piece is an answer of its own; later ones can only cut the stream.
    const first = await pieces.next();
    const stream = Readable.from(followed(first, pieces), { objectMode: false });
    return stream.once('close', () => control.abort());
  }

  async has(sha256: string, size: number): Promise<boolean> {
    return (await findComplete(this.#place.database.read, sha256))?.size === size;
  }

  async remove(sha256: string, beforeMs: number): Promise<void> {
    const { database, clock } = this.#place;
    await database.write((trx) => endFile(trx, sha256, beforeMs, clock()));
  }

  async *list(): AsyncGenerator<StoredArtifact & { readonly storedAtMs: number }> {
    for (let after = ''; ;) {
      const rows = await completeAfter(this.#place.database.read, after, LISTED_AT_ONCE);
      for (const { sha256, size, touched_at: storedAtMs } of rows)
        if (sha256 !== null && size !== null) yield { sha256, size, storedAtMs };
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.id;
    }
  }

  async offsetOf(upload: string): Promise<number> {
    return sizeOf(await findUpload(this.#place.database.read, upload));
  }

  async *#pieces(
    sha256: string,
    { start, end }: { readonly start: number; readonly end: number },
    control: AbortController,
  ): AsyncGenerator<Uint8Array, undefined> {
    if (this.#downloads >= DOWNLOADS_MAX) throw busy(`${DOWNLOADS_MAX} downloads run now`);
    this.#downloads += 1;
    try {
      const { read } = this.#place.database;
      const file = await findComplete(read, sha256);
      if (file === undefined || (file.size ?? 0) <= end) throw lost(sha256, 'the store does not have it');
      let part: ArtifactPartRow | undefined;
      for (let at = start; at <= end;) {
        const number = Math.floor(at / file.part_bytes);
        if (part?.number !== number) part = await findPart(read, file.id, number);
        if (part === undefined) throw lost(sha256, `part ${number} is not in the store`);
        const piece = await this.#piece(file, part, { at, end }, control.signal);
        at += piece.length;
        const stalled = setTimeout(() => control.abort(), STALLED_MS).unref();
        yield piece;
        clearTimeout(stalled);
        if (control.signal.aborted) throw new HubError('artifacts-busy', 'the receiver took no byte for a minute');
      }
      return undefined;
    } catch (error) {
      if (!control.signal.aborted) this.#onFault(error, sha256);
      throw error;
    } finally {
      this.#downloads -= 1;
    }
  }

  /** The bytes from `at` on, as far as one piece goes. */
  async #piece(
    file: ArtifactFileRow,
    part: ArtifactPartRow,
    { at, end }: { readonly at: number; readonly end: number },
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const { block_bytes: blockBytes } = file;
    const partStart = part.number * file.part_bytes;
    const first = Math.floor((at - partStart) / blockBytes);
    const wanted = Math.floor((end - partStart) / blockBytes) + 1;
    const from = first * blockBytes;
    const until = Math.min(Math.min(first + PIECE_BLOCKS, wanted) * blockBytes, part.size);
    const name = file.sha256 ?? '';
    if (until <= at - partStart) throw lost(name, `part ${part.number} is too short`);
    const bytes = await this.#checked(file, part, { from, until, first }, signal);
    return bytes.subarray(at - partStart - from, Math.min(end + 1 - partStart, until) - from);
  }

  async #checked(
    file: ArtifactFileRow,
    part: ArtifactPartRow,
    { from, until, first }: { readonly from: number; readonly until: number; readonly first: number },
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    const key = keyOf(file.id, part);
    // A second time, because a connection may have damaged the first.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const bytes = await this.#place.bucket.get(key, { start: from, end: until - 1 }, signal);
      if (bytes === undefined) throw lost(file.sha256 ?? '', `the bucket has no object ${key}`);
      if (bytes.length === until - from && areBlocks(bytes, first, part.blocks)) return bytes;
    }
    throw lost(file.sha256 ?? '', `the object ${key} of the bucket is not what was stored`);
  }
}

async function* followed(first: IteratorResult<Uint8Array, undefined>, rest: AsyncGenerator<Uint8Array, undefined>) {
  try {
    if (first.done !== true) yield first.value;
    yield* rest;
  } finally {
    // Its receiver may go away with the first piece, before the others were asked for.
    await rest.return(undefined);
  }
}

function lost(sha256: string, why: string): HubError {
  return new HubError('artifact-lost', `the sealed file ${sha256} cannot be served: ${why}`);
}

function busy(why: string): HubError {
  return new HubError('artifacts-busy', `${why}: try again later`, { retryAfterSeconds: BUSY_SECONDS });
}
