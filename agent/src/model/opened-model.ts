// From ciphertext on disk straight into anonymous memory files: each segment is verified before any byte of it is written, the whole is
// compared with the manifest while it streams, and everything is wiped after any failure.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { openFile } from '@edgekeep/core/model/sealed-file';
import { CoreError } from '@edgekeep/core/error';
import { MemoryFile } from '@edgekeep/host/memory-file';
import { readChunks } from '@edgekeep/wire/file/sealed-file';
import { AgentError } from '../error.ts';
import type { ModelStore } from './model-store.ts';
import type { SealedModelFile, VerifiedModel } from './model.ts';

export interface OpenedFile {
  readonly file: SealedModelFile;
  readonly memory: MemoryFile;
}

/** The plaintext of a model's files, in memory. Disposing wipes it; this can be repeated. */
export class OpenedModel {
  readonly files: readonly OpenedFile[];
  #wiped: Promise<void> | undefined;

  private constructor(files: readonly OpenedFile[]) {
    this.files = files;
  }

  /**
   * Opens every file; throws `model-damaged` when one is not what the publisher signed, `locked` when `signal` was aborted. The caller
   * zeroes the key.
   */
  static async open(
    store: Pick<ModelStore, 'pathOf'>,
    model: VerifiedModel,
    modelKey: Uint8Array,
    signal: AbortSignal,
  ): Promise<OpenedModel> {
    const files: OpenedFile[] = [];
    try {
      for (const file of model.files) {
        const memory = await MemoryFile.create();
        files.push({ file, memory });
        await openInto(memory, store.pathOf(model, file), model, file, modelKey, signal);
      }
      return new OpenedModel(files);
    } catch (error) {
      await new OpenedModel(files)[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Once, also after a failure: everything possible was wiped, and a second try would close the same descriptors again.
    this.#wiped ??= wipe(this.files);
    await this.#wiped;
  }
}

async function wipe(files: readonly OpenedFile[]): Promise<void> {
  await Promise.all(files.map(({ memory }) => memory[Symbol.asyncDispose]()));
}

async function openInto(
  memory: MemoryFile,
  path: string,
  { name, manifestDigest }: VerifiedModel,
  file: SealedModelFile,
  modelKey: Uint8Array,
  signal: AbortSignal,
): Promise<void> {
  const digest = createHash('sha256');
  let size = 0;
  await using handle = await open(path);
  try {
    for await (const chunk of openFile(readChunks(handle), modelKey, { path: file.path, manifestDigest })) {
      if (signal.aborted) throw new AgentError('locked', `${name} was locked while it was opened`);
      // More than the signed size would fill the memory before the digest is known.
      if (size + chunk.length > file.size) throw damaged(name, file);
      digest.update(chunk);
      await memory.write(chunk, size);
      size += chunk.length;
    }
  } catch (cause) {
    throw cause instanceof CoreError ? damaged(name, file, cause) : cause;
  }
  if (size !== file.size || digest.digest('hex') !== file.sha256) throw damaged(name, file);
}

function damaged(name: string, { path }: SealedModelFile, cause?: Error): AgentError {
  const why = cause === undefined ? 'its plaintext is not what the publisher signed' : cause.message;
  return new AgentError('model-damaged', `${name}, ${JSON.stringify(path)}: ${why}`, { cause });
}
