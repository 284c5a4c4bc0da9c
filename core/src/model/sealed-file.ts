// How the files of a model are sealed (spec/sealed-model.md): one FLOE file each, under a key derived from the model key and the file's
// path, with the digest of the model manifest as associated data. So no file can replace another, nor the same file of another version.
import { hkdfSync } from 'node:crypto';
import { concat, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { floeKeyLength } from './floe-layout.ts';
import { FloeReader, type ReadAt } from './floe-reader.ts';
import { type ByteSource, decryptStream, encryptStream, type OpenOptions, type SealOptions } from './floe-stream.ts';

const modelKeyLength = 32;
const manifestDigestLength = 32;

/** A device with little memory opens sealed files segment by segment; longer segments than this gain nothing. */
const SEALED_SEGMENT_LENGTH_MAX = 64 * 2 ** 20;

const purpose = utf8('edgekeep sealed file v1');

/**
 * HKDF-SHA-256(model key, no salt, "edgekeep sealed file v1" || 0x00 || path). `path` is the file's path in the manifest. The caller zeroes
 * the result. Throws `sealed-model-key` for a model key of another length than 32 bytes.
 */
export function sealedFileKey(modelKey: Uint8Array, path: string): Uint8Array {
  if (modelKey.length !== modelKeyLength) {
    throw new CoreError(
      'sealed-model-key',
      `sealed file: a model key has ${modelKeyLength} bytes, found ${modelKey.length}`,
    );
  }
  if (path === '' || !path.isWellFormed()) {
    throw new CoreError('model-path-invalid', 'sealed file: a path must be a non-empty string of whole characters');
  }
  const info = concat(purpose, Uint8Array.of(0), utf8(path));
  return new Uint8Array(hkdfSync('sha256', modelKey, new Uint8Array(0), info, floeKeyLength));
}

/** What a sealed file is bound to, besides its key. */
export interface SealedFileBinding {
  /** The file's path in the manifest. */
  readonly path: string;
  /** SHA-256 of the manifest's bytes. */
  readonly manifestDigest: Uint8Array;
}

/** Seals one file of a model: yields its FLOE bytes. A chunk is valid until the next one is requested. */
export async function* sealFile(
  source: ByteSource,
  modelKey: Uint8Array,
  binding: SealedFileBinding,
  options: SealOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const associatedData = associatedDataOf(binding);
  const key = sealedFileKey(modelKey, binding.path);
  try {
    yield* encryptStream(source, key, associatedData, options);
  } finally {
    key.fill(0);
  }
}

/** Opens one sealed file front to back: yields verified plaintext. The file is complete only when this ends without an error. */
export async function* openFile(
  source: ByteSource,
  modelKey: Uint8Array,
  binding: SealedFileBinding,
  options: OpenOptions = { maxSegmentLength: SEALED_SEGMENT_LENGTH_MAX },
): AsyncGenerator<Uint8Array, void, undefined> {
  const associatedData = associatedDataOf(binding);
  const key = sealedFileKey(modelKey, binding.path);
  try {
    yield* decryptStream(source, key, associatedData, options);
  } finally {
    key.fill(0);
  }
}

/** Opens one sealed file for random access. Dispose the reader. */
export async function openFileAt(
  read: ReadAt,
  ciphertextLength: number,
  modelKey: Uint8Array,
  binding: SealedFileBinding,
  options: OpenOptions = { maxSegmentLength: SEALED_SEGMENT_LENGTH_MAX },
): Promise<FloeReader> {
  const associatedData = associatedDataOf(binding);
  const key = sealedFileKey(modelKey, binding.path);
  try {
    return await FloeReader.open(read, ciphertextLength, key, associatedData, options);
  } finally {
    key.fill(0);
  }
}

function associatedDataOf({ manifestDigest }: SealedFileBinding): Uint8Array {
  if (manifestDigest.length !== manifestDigestLength) {
    throw new CoreError(
      'sealed-model-invalid',
      `sealed file: a manifest digest has ${manifestDigestLength} bytes, found ${manifestDigest.length}`,
    );
  }
  return manifestDigest;
}
