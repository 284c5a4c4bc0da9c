// Sends one sealed file, and continues where a lost connection stopped it (spec/api.md, "Uploads"). The file is sealed again from its
// beginning under the same header; the bytes that the hub has are skipped. The segments that follow have new nonces: no segment is sealed
// twice under one nonce.
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { sealFile, type SealedFileBinding } from '@edgekeep/core/model/sealed-file';
import { uploadedFile, uploadState } from '@edgekeep/wire/api/model-release';
import type { Operator } from '../operator.ts';
import { HubRefusal, Unreachable } from '../refusal.ts';
import type { TransferProgress } from './transfer-progress.ts';

export interface Upload {
  readonly file: string;
  readonly modelKey: Uint8Array;
  readonly binding: SealedFileBinding;
  /** `/v1/models/NAME/VERSION`. */
  readonly release: string;
  readonly progress: TransferProgress;
  /** How long to wait before try number `failures`, in milliseconds. */
  readonly backoffMs?: (failures: number) => number;
}

// Tries without new bytes, one after the other.
const FAILURES_MAX = 8;
const BACKOFF_MAX = 30_000;

/** The whole chunks of ours that the hub has: their length, and the digest of everything before. */
interface Boundary {
  readonly length: number;
  readonly sha256: string;
}

/** Throws the hub's refusal, or `Unreachable` when the connection is lost again and again. */
export async function uploadFile(operator: Operator, upload: Upload): Promise<void> {
  const { release, binding, progress, backoffMs = (failures) => Math.min(BACKOFF_MAX, 500 * 2 ** failures) } = upload;
  const path = binding.path.split('/').map(encodeURIComponent).join('/');
  const sealer = new Sealer(upload);
  let from = sealer.boundaryBelow(0);
  for (let failures = 0; ;) {
    const before = sealer.sent;
    try {
      progress.resume(from.length);
      const headers = from.length === 0 ? {} : { 'upload-offset': `${from.length}`, 'upload-sha256': from.sha256 };
      const source = Readable.from(sealer.chunks(from.length), { objectMode: false });
      await operator.upload(`${release}/files/${path}`, source, uploadedFile, headers);
      return;
    } catch (error) {
      const restart = error instanceof HubRefusal && error.code === 'upload-differs';
      const busySeconds = error instanceof HubRefusal ? error.retryAfterSeconds : undefined;
      if (!restart && busySeconds === undefined && !isLost(error)) throw error;
      failures = !restart && sealer.sent > before ? 1 : failures + 1;
      if (failures > FAILURES_MAX) throw error;
      progress.say(
        restart
          ? '  the hub has another beginning of this file: starting again'
          : busySeconds === undefined
            ? '  connection lost: continuing'
            : `  the hub asks to wait ${busySeconds} s`,
      );
      await delay(Math.max(backoffMs(failures), (busySeconds ?? 0) * 1_000));
      const offset = restart ? 0 : await offsetAt(operator, `${release}/uploads/${path}`);
      from = sealer.boundaryBelow(offset);
    }
  }
}

// A connection that may come back; somebody else in the place of the hub does not pass.
function isLost(error: unknown): boolean {
  return error instanceof Unreachable && (error.code === 'unreachable' || error.code.startsWith('proxy-'));
}

// A hub that was restored, or of a version without resumable uploads, starts from the beginning.
async function offsetAt(operator: Operator, path: string): Promise<number> {
  try {
    return (await operator.get(path, uploadState)).offset;
  } catch (error) {
    if (isLost(error) || (error instanceof HubRefusal && error.status === 404)) return 0;
    throw error;
  }
}

interface Sent {
  readonly length: number;
  readonly hash: Hash;
}

/** Seals a file any number of times, under one header. */
class Sealer {
  readonly #upload: Upload;
  /** The end of the returned chunks, with the hash of all of them. */
  #sent: readonly Sent[] = [{ length: 0, hash: createHash('sha256') }];
  #headerRandom: Uint8Array | undefined;
  /** The highest offset that was returned. */
  sent = 0;

  constructor(upload: Upload) {
    this.#upload = upload;
  }

  /** The sealed bytes from a boundary on. */
  async *chunks(from: number): AsyncGenerator<Uint8Array> {
    const { file, modelKey, binding, progress } = this.#upload;
    // Each pass has its own list: the previous one may still be reading ahead.
    const sent = this.#sent.filter(({ length }) => length <= from);
    this.#sent = sent;
    const options = { randomBytes: this.#randomOfOnePass() };
    let length = 0;
    for await (const chunk of sealFile(createReadStream(file), modelKey, binding, options)) {
      length += chunk.length;
      if (length <= from) continue;
      // The sealer reuses its buffer for the next segment; a stream may still hold the last one.
      const copy = Uint8Array.from(chunk);
      const hash = (sent.at(-1)?.hash ?? createHash('sha256')).copy().update(copy);
      sent.push({ length, hash });
      yield copy;
      progress.add(copy.length);
      this.sent = Math.max(this.sent, length);
    }
  }

  boundaryBelow(offset: number): Boundary {
    const found = this.#sent.findLast(({ length }) => length <= offset);
    return { length: found?.length ?? 0, sha256: (found?.hash ?? createHash('sha256')).copy().digest('hex') };
  }

  // The first draw of a pass makes the header.
  #randomOfOnePass(): (length: number) => Uint8Array {
    let isHeader = true;
    return (length) => {
      if (!isHeader) return randomBytes(length);
      isHeader = false;
      this.#headerRandom ??= randomBytes(length);
      return Uint8Array.from(this.#headerRandom);
    };
  }
}
