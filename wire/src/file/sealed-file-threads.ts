// Large sealed files on several threads: every thread reads, transforms and writes its own run of segments in place. This file is both
// sides: the part that starts the threads and the thread itself.
import { randomBytes } from 'node:crypto';
import { readSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { CoreError, coreErrorCodes } from '@edgekeep/core/error';
import { decryptSegment, encryptSegment, type FloeState, startDecryption } from '@edgekeep/core/model/floe';
import { type FloeLayout, segmentOverhead, segmentPrefixLength, segmentRange } from '@edgekeep/core/model/floe-layout';

export interface FileJob {
  readonly kind: 'encrypt' | 'decrypt';
  readonly input: FileHandle;
  readonly output: FileHandle;
  readonly key: Uint8Array;
  readonly associatedData: Uint8Array;
  /** The header of the sealed file, already written or already verified. */
  readonly header: Uint8Array;
  readonly layout: FloeLayout;
}

/** The input of one thread: descriptors are the process's own, the key is the thread's own copy. */
interface Share {
  readonly mark: typeof shareMark;
  readonly kind: FileJob['kind'];
  readonly input: number;
  readonly output: number;
  readonly key: Uint8Array;
  readonly associatedData: Uint8Array;
  readonly header: Uint8Array;
  readonly layout: FloeLayout;
  readonly from: number;
  readonly to: number;
}

// Tells this file that it runs as one of its threads, and was not only imported.
const shareMark = 'edgekeep-sealed-file-share';

/** Processes all segments of a file; throws the first error of any thread, after all have ended. */
export async function transformOnThreads(job: FileJob, threads: number): Promise<void> {
  const perThread = Math.ceil(job.layout.segments / threads);
  const stopped = new AbortController();
  const runs: Promise<void>[] = [];
  for (let from = 0; from < job.layout.segments; from += perThread) {
    const to = Math.min(job.layout.segments, from + perThread);
    runs.push(runThread(shareOf(job, from, to), stopped));
  }
  await Promise.all(runs);
  stopped.signal.throwIfAborted();
}

function shareOf(
  { kind, input, output, key, associatedData, header, layout }: FileJob,
  from: number,
  to: number,
): Share {
  return { mark: shareMark, kind, input: input.fd, output: output.fd, key, associatedData, header, layout, from, to };
}

async function runThread(share: Share, stopped: AbortController): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const worker = new Worker(new URL(import.meta.url), { workerData: share, env: environment() });
  const stop = () => void worker.terminate();
  stopped.signal.addEventListener('abort', stop);
  worker.once('error', (error) => reject(errorOf(error)));
  worker.once('exit', (code) => {
    if (code === 0) resolve();
    else reject(new Error(`a thread of a sealed file ended with ${code}`));
  });
  try {
    await promise;
  } catch (error) {
    // The first error is the reason; it ends the other threads.
    stopped.abort(error);
  } finally {
    stopped.signal.removeEventListener('abort', stop);
  }
}

// A thread that finds its modules in the compile cache needs 20 MiB less than one that strips types again.
function environment(): NodeJS.ProcessEnv {
  const cache = getCompileCacheDir();
  return cache === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(cache) };
}

// Between threads, an error keeps its code but not its class.
function errorOf(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const code = coreErrorCodes.find((one) => one === error.code);
  return code === undefined ? error : new CoreError(code, error.message, { cause: error });
}

if (!isMainThread && isShare(workerData)) transformShare(workerData);

function isShare(data: unknown): data is Share {
  return typeof data === 'object' && data !== null && 'mark' in data && data.mark === shareMark;
}

function transformShare(share: Share): void {
  const memory = new Uint8Array(share.layout.segmentLength);
  try {
    // Encryption continues under the keys of a header that exists already.
    using state = startDecryption(share.key, share.associatedData, share.header);
    for (let position = share.from; position < share.to; position += 1) {
      if (share.kind === 'encrypt') encryptOne(share, state, position, memory);
      else decryptOne(share, state, position, memory);
    }
  } finally {
    share.key.fill(0);
    memory.fill(0);
  }
}

function encryptOne({ input, output, layout }: Share, state: FloeState, position: number, memory: Uint8Array): void {
  const { offset, length } = segmentRange(layout, position);
  const plaintext = memory.subarray(segmentPrefixLength, segmentPrefixLength + length - segmentOverhead);
  readAt(input, plaintext, position * (layout.segmentLength - segmentOverhead));
  const isFinal = position === layout.segments - 1;
  writeAt(output, encryptSegment(state, plaintext, position, isFinal, randomBytes, memory), offset);
}

function decryptOne({ input, output, layout }: Share, state: FloeState, position: number, memory: Uint8Array): void {
  const { offset, length } = segmentRange(layout, position);
  const segment = memory.subarray(0, length);
  readAt(input, segment, offset);
  const plaintext = decryptSegment(state, segment, position, position === layout.segments - 1, segment);
  writeAt(output, plaintext, position * (layout.segmentLength - segmentOverhead));
}

function readAt(file: number, into: Uint8Array, offset: number): void {
  for (let done = 0; done < into.length;) {
    const read = readSync(file, into, done, into.length - done, offset + done);
    if (read === 0) throw new CoreError('bytes-truncated', 'sealed file: it became shorter while it was read');
    done += read;
  }
}

function writeAt(file: number, bytes: Uint8Array, offset: number): void {
  for (let done = 0; done < bytes.length;) {
    done += writeSync(file, bytes, done, bytes.length - done, offset + done);
  }
}
