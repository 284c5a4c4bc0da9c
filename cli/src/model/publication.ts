// Publishing a model: manifest, signature, sealing and upload. The plaintext never leaves this machine. The hub gets ciphertext, and the
// model key, which it immediately wraps under its platform key.
import { counted } from '@edgekeep/core/counted';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { toBase64url, toHex } from '@edgekeep/core/bytes';
import { type GuardSettings, guardSettingsSchema } from '@edgekeep/core/model/guard-settings';
import { encodeManifest, manifestDigest, manifestPath, type ModelManifest } from '@edgekeep/core/model/manifest';
import { type ReleasePolicy, releasePolicySchema } from '@edgekeep/core/model/release-policy';
import { signModel } from '@edgekeep/core/model/signature/sign';
import { parseJson } from '@edgekeep/core/json';
import type { Signer } from '@edgekeep/core/signer';
import { listModelFiles } from '@edgekeep/wire/file/model-files';
import { type PublicationResponse, publicationResponse } from '@edgekeep/wire/api/model-release';
import { UsageError } from '../command.ts';
import type { Operator } from '../operator.ts';
import { keyProcessOptions, programFile } from '../program.ts';
import { openScratch } from './scratch.ts';
import { type ProgressOutput, TransferProgress } from './transfer-progress.ts';
import { uploadFile } from './upload.ts';

type Role = ModelManifest['files'][number]['role'];

const mediaTypes: Readonly<Record<string, string>> = {
  '.onnx': 'application/onnx',
  '.ort': 'application/x-onnxruntime',
};
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
  /** Leave out the `.ort` twin of each `.onnx` file. */
  readonly withoutOrt?: boolean | undefined;
  /** Progress messages for people. */
  readonly progress: (step: string) => void;
  /** Shows the progress of each file; left out: nowhere. */
  readonly output?: ProgressOutput | undefined;
}

interface SourceFile {
  readonly path: string;
  readonly role: Role;
  readonly file: string;
}

/** Publishes and returns the release as the hub now shows it. */
export async function publishModel(operator: Operator, order: PublicationOrder): Promise<PublicationResponse> {
  using scratch = openScratch('edgekeep-publish');
  const modelKey = randomBytes(32);
  try {
    const sources = await collect(order, scratch.folder);
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

/** Reads guard settings written by the publisher (spec/guard.md). */
export async function readGuardSettings(file: string): Promise<GuardSettings> {
  return parseJson(await readFile(file), guardSettingsSchema, `guard settings ${file}`);
}

/** Reads a release policy written by the publisher (spec/model-manifest.md, "Release policy"). */
export async function readReleasePolicy(file: string): Promise<ReleasePolicy> {
  return parseJson(await readFile(file), releasePolicySchema, `release policy ${file}`);
}

async function collect(order: PublicationOrder, scratch: string): Promise<readonly SourceFile[]> {
  const sources = (await stat(order.path)).isDirectory()
    ? await collectFolder(order.path)
    : [collectFile(order.path, 'primary')];
  if (order.fallback !== undefined) sources.push(collectFile(order.fallback, 'fallback'));
  const paths = sources.map(({ path }) => path);
  if (new Set(paths).size !== paths.length) throw new UsageError(`two files have the same name: ${paths.join(', ')}`);
  if (order.withoutOrt === true) return sources;
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

function collectFile(file: string, role: 'primary' | 'fallback'): SourceFile {
  const path = basename(file);
  return { path, role: isModel(path) ? role : 'opaque', file };
}

// In a folder, a file named fallback.* is the fallback model, the only other model file is the primary; the rest is data of an ONNX model
// (external weights), or opaque where there is no ONNX model.
async function collectFolder(folder: string): Promise<SourceFile[]> {
  const { entries } = await listModelFiles(folder, { followLinks: false, ignorePaths: [manifestPath] });
  const paths = entries.filter(({ kind }) => kind === 'file').map(({ path }) => path);
  const models = paths.filter(isModel);
  const primaries = new Set(models.filter((path) => !isFallback(path)).map(stem));
  if (primaries.size > 1)
    throw new UsageError(
      `which file is the model: ${[...primaries].join(', ')}? Publish one of them, or name the second fallback.onnx`,
    );
  return paths.map((path) => ({
    path,
    role: isModel(path) ? (isFallback(path) ? 'fallback' : 'primary') : models.length > 0 ? 'data' : 'opaque',
    file: join(folder, path),
  }));
}

const isModel = (path: string) => extname(path) in mediaTypes;
const isFallback = (path: string) => stem(basename(path)) === 'fallback';
const stem = (path: string) => path.slice(0, path.length - extname(path).length);

async function describe({ path, role, file }: SourceFile): Promise<ModelManifest['files'][number]> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(file)) {
    hash.update(chunk);
    size += chunk.length;
  }
  const mediaType = mediaTypes[extname(path)] ?? 'application/octet-stream';
  return { path, role, mediaType, size, sha256: toHex(hash.digest()) };
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
  const child = spawn(
    process.execPath,
    [...keyProcessOptions, programFile('@edgekeep/guard/optimise-main'), onnxFile, ortFile],
    {
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  );
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
