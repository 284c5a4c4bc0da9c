// Which files of a manifest the guard loads: an `.ort` file rather than its `.onnx` twin, and external data only for `.onnx`. The agent
// opens (decrypts) no other file. Follows spec/guard.md section 5.
import { CoreError } from '../error.ts';

const ortMediaType = 'application/x-onnxruntime';
export const onnxMediaType = 'application/onnx';

export type ModelFormat = 'ort' | 'onnx';

interface ModelFile {
  readonly path: string;
  readonly role: string;
  readonly mediaType: string;
}

/** The format that the guard can run, from the media type or else from the path's extension; undefined for anything opaque. */
export function modelFormat(file: Pick<ModelFile, 'path' | 'mediaType'>): ModelFormat | undefined {
  if (file.mediaType === ortMediaType) return 'ort';
  if (file.mediaType === onnxMediaType || file.mediaType === 'application/x-onnx') return 'onnx';
  if (file.path.endsWith('.ort')) return 'ort';
  return file.path.endsWith('.onnx') ? 'onnx' : undefined;
}

/** The file to run in a role, the `.ort` twin first; undefined when the role has no file the guard can run. */
export function modelFileOf<T extends ModelFile>(files: readonly T[], role: 'primary' | 'fallback'): T | undefined {
  const candidates = files.filter((file) => file.role === role);
  return (
    candidates.find((file) => modelFormat(file) === 'ort') ?? candidates.find((file) => modelFormat(file) === 'onnx')
  );
}

/**
 * The files of a manifest that the guard needs, in the manifest's order.
 * @throws CoreError `manifest-invalid` when no primary file is one the guard can run
 */
export function filesForGuard<T extends ModelFile>(files: readonly T[]): readonly T[] {
  const primary = modelFileOf(files, 'primary');
  if (primary === undefined) {
    throw new CoreError(
      'manifest-invalid',
      'no file with role primary is an .ort or .onnx model; use edgekeep model run',
    );
  }
  const fallback = modelFileOf(files, 'fallback');
  const chosen = [primary, ...(fallback === undefined ? [] : [fallback])];
  const wantsData = chosen.some((file) => modelFormat(file) === 'onnx');
  return files.filter((file) => chosen.includes(file) || (wantsData && file.role === 'data'));
}

/** The path of `data` relative to the folder of `model`: the name that an ONNX file uses for its external data. */
export function externalDataLocation(model: string, data: string): string {
  const folder = model.slice(0, model.lastIndexOf('/') + 1);
  return data.startsWith(folder) ? data.slice(folder.length) : data;
}
