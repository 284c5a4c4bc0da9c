// Which files of a publisher the guard would run: a model with its twin, its fallback and its external data, by the rules of publishing.
import { modelFileOf } from '@edgekeep/core/model/guard-files';
import type { GuardToolOrder } from '@edgekeep/core/model/guard-tool';
import { UsageError } from '../command.ts';
import { modelSources, mediaTypeOf, type SourceFile } from './model-sources.ts';

type ToolFiles = GuardToolOrder['files'];

/** The files that the guard opens; empty for a model that only programs use. */
export function guardFiles(sources: readonly SourceFile[]): ToolFiles {
  const files = sources.flatMap(({ path, role, file }) =>
    role === 'opaque' ? [] : [{ path, role, mediaType: mediaTypeOf(path), file }],
  );
  return modelFileOf(files, 'primary') === undefined ? [] : files;
}

/** @throws UsageError when the guard runs none of them */
export async function guardFilesAt(path: string, fallback: string | undefined): Promise<ToolFiles> {
  const files = guardFiles(await modelSources(path, fallback));
  if (files.length === 0) throw new UsageError(`${path} has no .onnx or .ort model, which is all that the guard runs`);
  return files;
}
