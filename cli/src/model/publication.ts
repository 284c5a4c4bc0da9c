// Publishing a model: manifest, signature, sealing and upload. The plaintext never leaves this machine. The hub gets ciphertext, and the
// model key, which it immediately wraps under its platform key.
import { counted } from '@edgekeep/core/counted';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { toBase64url, toHex } from '@edgekeep/core/bytes';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import { encodeManifest, manifestDigest, manifestPath, type ModelManifest } from '@edgekeep/core/model/manifest';
import { type ReleasePolicy, releasePolicySchema } from '@edgekeep/core/model/release-policy';
import { signModel } from '@edgekeep/core/model/signature/sign';
import type { Signer } from '@edgekeep/core/signer';
import { type PublicationResponse, publicationResponse } from '@edgekeep/wire/api/model-release';
import { UsageError } from '../command.ts';
import type { Operator } from '../operator.ts';
import { findProgram, keyProcessOptions } from '../program.ts';
import { checkAsDevice } from './device-check.ts';
import { openScratch } from './scratch.ts';
import { mediaTypeOf, modelSources, type SourceFile } from '../guard/model-sources.ts';
import { type ProgressOutput, TransferProgress } from './transfer-progress.ts';
import { uploadFile } from './upload.ts';
import { readJson } from '../person-file.ts';

const silent: ProgressOutput = { isTerminal: false, write: () => {} };

export interface PublicationOrder {
  /** A file, or a folder whose files all belong to the model. */
  readonly path: string;
  /** A second model that answers when the first is unsure. */
  readonly fallback?: string | undefined;
  readonly name: string;
  readonly version: string;
  readonly signer: Signer;
  readonly guard?: GuardSettings | undefined;
  /** Who may get its key; left out: the operator decides alone. */
  readonly releasePolicy?: ReleasePolicy | undefined;
  /** Publish what no guard can serve, for programs. */
  readonly force?: boolean | undefined;
  /** Leave out the `.ort` twin of each `.onnx` file. */
  readonly withoutOrt?: boolean | undefined;
  /** Progress messages for people. */
  readonly progress: (step: string) => void;
  /** Shows the progress of each file; left out: nowhere. */
  readonly output?: ProgressOutput | undefined;
}

/** Publishes and returns the release as the hub now shows it. */
export async function publishModel(operator: Operator, order: PublicationOrder): Promise<PublicationResponse> {
  using scratch = openScratch('edgekeep-publish');
  const modelKey = randomBytes(32);
  try {
    const given = await modelSources(order.path, order.fallback);
    const sources = await withTwins(given, order, scratch.folder).catch(async (error: unknown) => {
      // The guard's reason is the better one: it is what a device would say.
      await checkAsDevice(given, order.guard, () => undefined);
      throw error;
    });
    if (order.force !== true) await checkAsDevice(sources, order.guard, order.progress);
    const files = await Promise.all(sources.map(describe));
    const { name, version, guard, releasePolicy } = order;
    const manifest = encodeManifest({
      type: releasePolicy === undefined ? 'edgekeep-model-manifest/v1' : 'edgekeep-model-manifest/v2',
      name,
      version,
      files,
      ...(guard && { guard }),
      ...(releasePolicy && { releasePolicy }),
    });
    order.progress(`signing ${counted(files.length, 'file')} and the manifest`);
    const signature = await signRelease(order, manifest, files);
    const body = { manifest: toBase64url(manifest), signature, modelKey: toBase64url(modelKey) };
    const begun = await operator.send('POST', '/v1/models', body, publicationResponse);
    if (begun.advice !== null) order.progress(`warning: ${begun.advice}`);
    const release = `/v1/models/${name}/${version}`;
    for (const { path, file } of sources) {
      order.progress(`sealing and sending ${path}`);
      const binding = { manifestDigest: manifestDigest(manifest), path };
      const size = files.find((each) => each.path === path)?.size ?? 0;
      const progress = new TransferProgress(order.output ?? silent, path, size);
      await uploadFile(operator, { file, modelKey, binding, release, progress }).finally(() => progress.end());
    }
    return await operator.send('POST', `/v1/models/${name}/${version}/publish`, {}, publicationResponse);
  } finally {
    modelKey.fill(0);
  }
}

/** Reads a release policy written by the publisher (spec/model-manifest.md, "Release policy"). */
export async function readReleasePolicy(file: string): Promise<ReleasePolicy> {
  return readJson(file, releasePolicySchema, `release policy ${file}`);
}

/** With the `.ort` twin of each `.onnx` file, which devices prefer. */
async function withTwins(
  sources: readonly SourceFile[],
  order: PublicationOrder,
  scratch: string,
): Promise<readonly SourceFile[]> {
  if (order.withoutOrt === true) return sources;
  const paths = sources.map(({ path }) => path);
  const twins: SourceFile[] = [];
  for (const { path, role, file } of sources) {
    const twin = path.replace(/\.onnx$/, '.ort');
    if (!path.endsWith('.onnx') || paths.includes(twin) || role === 'data') continue;
    order.progress(`optimizing ${path} into ${twin}`);
    const out = join(scratch, `${twins.length}.ort`);
    await optimise(file, out);
    twins.push({ path: twin, role, file: out });
  }
  return [...sources, ...twins];
}

async function describe({ path, role, file }: SourceFile): Promise<ModelManifest['files'][number]> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { path, role, mediaType: mediaTypeOf(path), size, sha256: toHex(hash.digest()) };
}

async function signRelease(
  order: PublicationOrder,
  manifest: Uint8Array,
  files: ModelManifest['files'],
): Promise<string> {
  const resources = [
    { path: manifestPath, range: undefined, digest: toHex(manifestDigest(manifest)) },
    ...files.map(({ path, sha256 }) => ({ path, range: undefined, digest: sha256 })),
  ];
  const serialization = { hash: 'sha256', shardSize: undefined, allowSymlinks: false, ignorePaths: [] } as const;
  const bundle = await signModel({ name: order.name, serialization, resources }, order.signer);
  return Buffer.from(bundle).toString('utf8');
}

// onnxruntime belongs to the guard; it runs there, in a separate process.
async function optimise(onnxFile: string, ortFile: string): Promise<void> {
  const { node, file } = findProgram('@edgekeep/guard/optimise-main');
  const child = spawn(node, [...keyProcessOptions, file, onnxFile, ortFile], { stdio: ['ignore', 'ignore', 'pipe'] });
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', resolve);
  });
  if (code !== 0) {
    const why = Buffer.concat(errors).toString('utf8').trim();
    throw new UsageError(`onnxruntime cannot optimize ${onnxFile}: ${why} (--no-ort publishes it as it is)`);
  }
}
