// The files of a model as its publisher has them: one file, or a folder, and which role each has.
import { stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { manifestPath, type ModelManifest } from '@edgekeep/core/model/manifest';
import { listModelFiles } from '@edgekeep/wire/file/model-files';
import { UsageError } from '../command.ts';

const mediaTypes: Readonly<Record<string, string>> = {
  '.onnx': 'application/onnx',
  '.ort': 'application/x-onnxruntime',
};

export interface SourceFile {
  readonly path: string;
  readonly role: ModelManifest['files'][number]['role'];
  readonly file: string;
}

export function mediaTypeOf(path: string): string {
  return mediaTypes[extname(path)] ?? 'application/octet-stream';
}

/** @throws UsageError when two files have one name, or it is not clear which file is the model */
export async function modelSources(path: string, fallback: string | undefined): Promise<readonly SourceFile[]> {
  const sources = (await stat(path)).isDirectory() ? await collectFolder(path) : [collectFile(path, 'primary')];
  if (fallback !== undefined) sources.push(collectFile(fallback, 'fallback'));
  const paths = sources.map((source) => source.path);
  if (new Set(paths).size !== paths.length) throw new UsageError(`two files have the same name: ${paths.join(', ')}`);
  return sources;
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
