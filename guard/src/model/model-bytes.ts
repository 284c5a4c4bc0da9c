// From inherited descriptors to model bytes in this process's own memory. Follows spec/guard.md section 5.
import { closeSync, readSync } from 'node:fs';
import { externalDataLocation, modelFileOf, modelFormat } from '@edgekeep/core/model/guard-files';
import type { GuardFile } from '@edgekeep/core/model/guard-protocol';
import { GuardError } from '../error.ts';
import type { ModelBytes } from './session.ts';

/** A single read call gives at most 2 GiB on Linux. */
const READ_BYTES_MAX = 1024 * 1024 * 1024;

/**
 * Reads every file and closes its descriptor; a file that is shorter than its size throws `file-read`. `received` are the bytes of files
 * without a descriptor.
 */
export function readModels(
  files: readonly GuardFile[],
  received: ReadonlyMap<GuardFile, Buffer> = new Map(),
): { primary: ModelBytes; fallback: ModelBytes | undefined } {
  const bytesOf = (file: GuardFile) => received.get(file) ?? readWhole(file);
  const primary = modelFileOf(files, 'primary');
  if (primary === undefined) throw new GuardError('order-invalid', 'no primary model among the files');
  const fallback = modelFileOf(files, 'fallback');
  const data = files.filter((file) => file.role === 'data').map((file) => ({ file, bytes: bytesOf(file) }));
  const read = (file: GuardFile): ModelBytes => {
    const format = modelFormat(file) === 'ort' ? 'ort' : 'onnx';
    const externalData =
      format === 'ort'
        ? []
        : data.map((entry) => ({ location: externalDataLocation(file.path, entry.file.path), bytes: entry.bytes }));
    return { format, bytes: bytesOf(file), externalData };
  };
  return { primary: read(primary), fallback: fallback && read(fallback) };
}

function readWhole(file: GuardFile): Buffer {
  if (file.descriptor === undefined)
    throw new GuardError('order-invalid', `${file.path}: neither bytes nor descriptor`);
  // Not from Node's shared pool: these bytes are zeroed as a whole later.
  const bytes = Buffer.allocUnsafeSlow(file.size);
  let offset = 0;
  try {
    while (offset < file.size) {
      const read = readSync(file.descriptor, bytes, offset, Math.min(READ_BYTES_MAX, file.size - offset), offset);
      if (read === 0) throw new GuardError('file-read', `${file.path}: ends after ${offset} of ${file.size} bytes`);
      offset += read;
    }
    closeSync(file.descriptor);
  } catch (cause) {
    bytes.fill(0);
    if (cause instanceof GuardError) throw cause;
    throw new GuardError('file-read', `${file.path}: descriptor ${file.descriptor} cannot be read`, { cause });
  }
  return bytes;
}
