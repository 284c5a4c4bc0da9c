// Sealed model files on disk: ciphertext only, in `models/NAME/MANIFEST DIGEST/`. Downloaded in ranges, so that a cut connection costs
// little and check-ins are not delayed; renamed into place only when complete.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { orIfMissing } from '@edgekeep/host/missing-file';
import type { DownloadRequest, DownloadResult } from '@edgekeep/wire/link/exchange';
import { AgentError } from '../error.ts';
import { type Refusal, refusalOf } from '../hub-api.ts';
import type { Progress } from './download-progress.ts';
import type { SealedModelFile, VerifiedModel } from './model.ts';

export type Download = (input: DownloadRequest) => Promise<DownloadResult>;

/** The number of bytes requested at once. */
const rangeLength = 8 * 1024 * 1024;

export class ModelStore {
  readonly #folder: string;

  /** `folder` is the state folder's `models`. */
  constructor(folder: string) {
    this.#folder = folder;
  }

  pathOf({ name, digestHex }: VerifiedModel, file: SealedModelFile): string {
    return join(this.#folder, name, digestHex, `${file.sealedSha256}.sealed`);
  }

  /**
   * Completes the model's files; returns the bytes downloaded, or the hub's refusal. Throws `model-damaged` when the data is not what was
   * announced.
   */
  async fetch(
    model: VerifiedModel,
    download: Download,
    { signal, told = () => undefined }: { readonly signal: AbortSignal; readonly told?: Progress },
  ): Promise<{ readonly kind: 'ok'; readonly bytes: number } | Refusal> {
    await mkdir(join(this.#folder, model.name, model.digestHex), { recursive: true, mode: 0o700 });
    const missing = await this.#missing(model);
    const all = missing.reduce((sum, { file, begun }) => sum + file.sealedSize - begun, 0);
    let bytes = 0;
    if (all > 0) told(0, all);
    const onBytes = (length: number) => told((bytes += length), all);
    for (const { file, path, begun } of missing) {
      const refusal = await fetchFile(model, { file, part: `${path}.part`, begun }, { download, signal, onBytes });
      if (refusal !== undefined) return refusal;
      await rename(`${path}.part`, path);
    }
    return { kind: 'ok', bytes };
  }

  /** The files that are not complete, with the number of bytes that are here. */
  async #missing(model: VerifiedModel) {
    const missing: { readonly file: SealedModelFile; readonly path: string; readonly begun: number }[] = [];
    for (const file of model.files) {
      const path = this.pathOf(model, file);
      if ((await sizeOf(path)) === file.sealedSize) continue;
      missing.push({ file, path, begun: Math.min((await sizeOf(`${path}.part`)) ?? 0, file.sealedSize) });
    }
    return missing;
  }

  /** Removes every other version of this model. */
  async removeOthers({ name, digestHex }: VerifiedModel): Promise<void> {
    for (const other of await readdir(join(this.#folder, name))) {
      if (other !== digestHex) await rm(join(this.#folder, name, other), { recursive: true, force: true });
    }
  }

  /** Removes a version whose files did not open, so that they are downloaded again. */
  async remove({ name, digestHex }: VerifiedModel): Promise<void> {
    await rm(join(this.#folder, name, digestHex), { recursive: true, force: true });
  }
}

/** The hub's refusal, if it refused. */
async function fetchFile(
  { name, version }: VerifiedModel,
  { file, part, begun }: { readonly file: SealedModelFile; readonly part: string; readonly begun: number },
  link: { readonly download: Download; readonly signal: AbortSignal; readonly onBytes: (length: number) => void },
): Promise<Refusal | undefined> {
  const { download, signal, onBytes } = link;
  const url = `/v1/models/${name}/${encodeURIComponent(version)}/files/${file.path.split('/').map(encodeURIComponent).join('/')}`;
  let at = begun;
  const handle = await open(part, begun === 0 ? 'w' : 'r+', 0o600);
  try {
    while (at < file.sealedSize) {
      const range = { start: at, length: Math.min(rangeLength, file.sealedSize - at) };
      const onChunk = async (chunk: Uint8Array) => {
        await handle.write(chunk, 0, chunk.length, at);
        at += chunk.length;
        onBytes(chunk.length);
      };
      const result = await download({ path: url, range, onChunk, signal });
      if (result.kind === 'answered') return refusalOf(result.response, url);
    }
    await handle.truncate(file.sealedSize);
    await handle.sync();
  } finally {
    await handle.close();
  }
  if ((await digestOf(part)) !== file.sealedSha256) {
    await rm(part, { force: true });
    throw new AgentError('model-damaged', `${name} ${version}, ${JSON.stringify(file.path)}: the download is damaged`);
  }
  return undefined;
}

async function digestOf(path: string): Promise<string> {
  const digest = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    if (chunk instanceof Uint8Array) digest.update(chunk);
  }
  return digest.digest('hex');
}

async function sizeOf(path: string): Promise<number | undefined> {
  return (await orIfMissing(stat(path), undefined))?.size;
}
