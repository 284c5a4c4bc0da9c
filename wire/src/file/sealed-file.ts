// Sealed files on disk (spec/sealed-model.md): streaming and random access over file handles, and large files on several threads. core has
// the formats and decisions; this file only moves the bytes.
import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { startDecryption, startEncryption } from '@edgekeep/core/model/floe';
import {
  floeHeaderLength,
  type FloeLayout,
  layoutOfCiphertext,
  layoutOfPlaintext,
  parseParameters,
  segmentLengthDefault,
} from '@edgekeep/core/model/floe-layout';
import type { FloeReader } from '@edgekeep/core/model/floe-reader';
import { type ByteSource, decryptStream, encryptStream } from '@edgekeep/core/model/floe-stream';
import { openFileAt, type SealedFileBinding } from '@edgekeep/core/model/sealed-file';
import { transformOnThreads } from './sealed-file-threads.ts';

const chunkLength = 2 ** 20;
/** Below this, starting a thread costs more than it saves. */
const THREADED_LENGTH_MIN = 256 * 2 ** 20;
/** Two keep up with a fast disk; each costs 16 MiB. */
const THREADS_MAX = 2;
/** Each thread holds two segments; longer ones than this are streamed on one. */
const THREADED_SEGMENT_LENGTH_MAX = 8 * 2 ** 20;

/** An open sealed file of a model, for one read at a time. Dispose it: its keys are zeroed and the file is closed. */
export interface SealedFile {
  readonly reader: FloeReader;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens a sealed file of a model for random access, after verifying its length. The caller keeps the model key and zeroes it. */
export async function openSealedFile(
  path: string,
  modelKey: Uint8Array,
  binding: SealedFileBinding,
): Promise<SealedFile> {
  const handle = await open(path);
  try {
    const { size } = await handle.stat();
    const reader = await openFileAt(readerOf(handle), size, modelKey, binding);
    const dispose = async () => {
      reader[Symbol.dispose]();
      await handle.close();
    };
    return { reader, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** The whole plaintext of a sealed file of a model, decrypted straight into one buffer. The caller owns and zeroes it. */
export async function readSealedFile(
  path: string,
  modelKey: Uint8Array,
  binding: SealedFileBinding,
): Promise<Uint8Array> {
  await using file = await openSealedFile(path, modelKey, binding);
  return await file.reader.read(0, file.reader.plaintextLength);
}

// core needs the input only until its next call, so one buffer serves all of them.
function readerOf(handle: FileHandle) {
  let memory = new Uint8Array(0);
  return async (offset: number, length: number): Promise<Uint8Array> => {
    if (memory.length < length) memory = new Uint8Array(length);
    return memory.subarray(0, await readFully(handle, memory.subarray(0, length), offset));
  };
}

export interface Totals {
  readonly plaintextLength: number;
  readonly ciphertextLength: number;
}

export interface EncryptFileOptions {
  /** Bytes of a whole encrypted segment; 1 MiB when left out. */
  readonly segmentLength?: number | undefined;
  /** Threads for a large regular file; left out: the number of processors, at most 2. */
  readonly threads?: number | undefined;
}

/** Encrypts all of `input` into the empty `output`; pipes and devices are streamed. `key` is the FLOE key. */
export async function encryptFile(
  input: FileHandle,
  output: FileHandle,
  key: Uint8Array,
  associatedData: Uint8Array,
  { segmentLength = segmentLengthDefault, threads = threadsDefault() }: EncryptFileOptions = {},
): Promise<Totals> {
  const layout = layoutOfPlaintext(await sizeOfFiles(input, output), segmentLength);
  if (!worthThreads(layout, threads)) {
    const written = await writeAll(
      output,
      encryptStream(readChunks(input), key, associatedData, { randomBytes, segmentLength }),
    );
    return totalsOf(layoutOfCiphertext(written, segmentLength));
  }
  using state = startEncryption(key, associatedData, segmentLength, randomBytes);
  await writeFully(output, state.header, 0);
  await transformOnThreads(
    { kind: 'encrypt', input, output, key, associatedData, header: state.header, layout },
    threads,
  );
  return totalsOf(layout);
}

/** Decrypts all of `input` into the empty file `output`: complete and verified only when this returns. Throws as `decryptStream` does. */
export async function decryptFile(
  input: FileHandle,
  output: FileHandle,
  key: Uint8Array,
  associatedData: Uint8Array,
  { threads = threadsDefault() }: Pick<EncryptFileOptions, 'threads'> = {},
): Promise<Totals> {
  const size = await sizeOfFiles(input, output);
  const header = new Uint8Array(floeHeaderLength);
  if (size >= THREADED_LENGTH_MIN && (await readFully(input, header, 0)) === header.length) {
    startDecryption(key, associatedData, header)[Symbol.dispose]();
    const layout = layoutOfCiphertext(size, parseParameters(header));
    if (worthThreads(layout, threads)) {
      await transformOnThreads({ kind: 'decrypt', input, output, key, associatedData, header, layout }, threads);
      return totalsOf(layout);
    }
  }
  let ciphertextLength = 0;
  const counted = counting(readChunks(input), (length) => (ciphertextLength += length));
  const plaintextLength = await writeAll(output, decryptStream(counted, key, associatedData));
  return { plaintextLength, ciphertextLength };
}

// Only files have random access: pipes and devices count as empty here, and are streamed.
async function sizeOfFiles(input: FileHandle, output: FileHandle): Promise<number> {
  const [from, to] = await Promise.all([input.stat(), output.stat()]);
  return from.isFile() && to.isFile() ? from.size : 0;
}

async function* counting(source: ByteSource, count: (length: number) => void): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    count(chunk.length);
    yield chunk;
  }
}

function threadsDefault(): number {
  return Math.min(THREADS_MAX, availableParallelism());
}

function worthThreads(layout: FloeLayout, threads: number): boolean {
  return (
    threads > 1 &&
    layout.ciphertextLength >= THREADED_LENGTH_MIN &&
    layout.segmentLength <= THREADED_SEGMENT_LENGTH_MAX &&
    layout.segments >= threads
  );
}

function totalsOf({ plaintextLength, ciphertextLength }: FloeLayout): Totals {
  return { plaintextLength, ciphertextLength };
}

/**
 * A file from its beginning, or a pipe, in chunks; the next chunk is read while the last is processed. A chunk is valid until the next one
 * is requested.
 */
export async function* readChunks(handle: FileHandle): AsyncGenerator<Uint8Array, void, undefined> {
  let [chunk, spare] = [new Uint8Array(chunkLength), new Uint8Array(chunkLength)];
  const isFile = (await handle.stat()).isFile();
  let offset = 0;
  let length = await readFully(handle, chunk, isFile ? offset : null);
  while (length > 0) {
    offset += length;
    const ahead = readFully(handle, spare, isFile ? offset : null);
    // Waits even when the consumer gives up; otherwise the handle would be closed during the read.
    try {
      yield chunk.subarray(0, length);
    } finally {
      length = await ahead;
    }
    [chunk, spare] = [spare, chunk];
  }
}

/** Writes every chunk at its place from the beginning of the file, or to a pipe. Returns the bytes written. */
export async function writeAll(handle: FileHandle, chunks: ByteSource): Promise<number> {
  const isFile = (await handle.stat()).isFile();
  let offset = 0;
  for await (const chunk of chunks) {
    await writeFully(handle, chunk, isFile ? offset : null);
    offset += chunk.length;
  }
  return offset;
}

// Offset null: continue after the last read or write. Returns fewer bytes than requested only at the end.
async function readFully(handle: FileHandle, into: Uint8Array, offset: number | null): Promise<number> {
  let filled = 0;
  while (filled < into.length) {
    const at = offset === null ? null : offset + filled;
    const { bytesRead } = await handle.read(into, filled, into.length - filled, at);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

async function writeFully(handle: FileHandle, bytes: Uint8Array, offset: number | null): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const at = offset === null ? null : offset + done;
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, at);
    done += bytesWritten;
  }
}
