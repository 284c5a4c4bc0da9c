// The input and output of `floe encrypt` and `floe decrypt`: files, stdin and stdout. A file appears under its name only when it is
// complete; until then it grows beside it under another name, and is removed when the command fails or is interrupted.
import { randomBytes } from 'node:crypto';
import { unlinkSync } from 'node:fs';
import { type FileHandle, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '@edgekeep/host/durable-file';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { CoreError } from '@edgekeep/core/error';
import { floeKeyLength } from '@edgekeep/core/model/floe-layout';
import type { ByteSource } from '@edgekeep/core/model/floe-stream';
import { readBounded } from '../bounded-file.ts';

/** The word for stdin and stdout. */
export const standardStream = '-';

/** Associated data are kept in memory and go into every key derivation. */
const ASSOCIATED_DATA_LENGTH_MAX = 16 * 2 ** 20;

export interface KeyFile {
  readonly key: Uint8Array;
  readonly warnings: readonly string[];
}

/** A key file is exactly 32 bytes, not text. Warns when others than its owner may read it. The caller zeroes the key. */
export async function readKeyFile(path: string): Promise<KeyFile> {
  const key = await readBounded(path, floeKeyLength).catch((cause: unknown) => {
    if (cause instanceof CoreError) throw keyLengthError(path, `more than ${floeKeyLength}`, cause);
    throw cause;
  });
  if (key.length !== floeKeyLength) throw keyLengthError(path, String(key.length));
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return { key, warnings: [] };
  const shown = (mode & 0o777).toString(8).padStart(4, '0');
  return { key, warnings: [`${path} has mode ${shown}: others can read the key; run chmod 600 on it`] };
}

function keyLengthError(path: string, found: string, cause?: unknown): CoreError {
  return new CoreError(
    'sealed-model-key',
    `${path}: a key file is exactly ${floeKeyLength} raw bytes, found ${found}`,
    { cause },
  );
}

/** The bytes of `--aad-file`, or none. */
export async function readAssociatedData(path: string | undefined): Promise<Uint8Array> {
  return path === undefined ? new Uint8Array(0) : readBounded(path, ASSOCIATED_DATA_LENGTH_MAX);
}

/** stdin in chunks, each valid until the next one is requested. */
export async function* readStandardInput(): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const chunk of process.stdin) {
    if (!(chunk instanceof Uint8Array)) continue;
    yield chunk;
    // Returned now instead of at some later garbage collection: memory stays flat for any length.
    if (chunk.buffer instanceof ArrayBuffer && chunk.buffer.byteLength === chunk.length) chunk.buffer.transfer(0);
  }
}

/** Writes every chunk to stdout before it requests the next one; returns the bytes written. */
export async function writeStandardOutput(chunks: ByteSource): Promise<number> {
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    process.stdout.write(chunk, (error) => (error ? reject(error) : resolve()));
    await promise;
  }
  return length;
}

/**
 * Gives `write` an empty file, which becomes `path` when `write` returns. If `path` exists and is no regular file (a pipe, /dev/null), it
 * is written directly.
 */
export async function writeOutputFile<T>(
  path: string,
  mode: number,
  write: (output: FileHandle) => Promise<T>,
): Promise<T> {
  const there = await orIfMissing(stat(path), undefined);
  if (there !== undefined && !there.isFile()) {
    await using output = await open(path, 'w');
    return await write(output);
  }
  const partial = `${path}.${randomBytes(6).toString('hex')}.partial`;
  const forget = removeWhenInterrupted(partial);
  try {
    const result = await writeNew(partial, mode, write);
    await rename(partial, path);
    await syncFolder(dirname(path));
    return result;
  } catch (error) {
    remove(partial);
    throw error;
  } finally {
    forget();
  }
}

async function writeNew<T>(path: string, mode: number, write: (output: FileHandle) => Promise<T>) {
  await using output = await open(path, 'wx+', mode);
  const result = await write(output);
  await output.sync();
  return result;
}

function removeWhenInterrupted(path: string): () => void {
  const stop = (signal: NodeJS.Signals) => {
    remove(path);
    forget();
    process.kill(process.pid, signal);
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.once(signal, stop);
  const forget = () => {
    for (const signal of signals) process.removeListener(signal, stop);
  };
  return forget;
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    // It may not exist yet.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
}
