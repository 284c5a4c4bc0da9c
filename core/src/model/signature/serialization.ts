// How OMS v1.0 turns the files of a model into resources: whole files or shards, their names, their order, and which files are left out.
// Order is by path component, as the reference implementation sorts ("a/b" before "a.txt").
import { CoreError } from '../../error.ts';

/** More than any model has; prevents a hostile statement or folder from filling memory. */
export const RESOURCE_COUNT_MAX = 200_000;
/** Linux's PATH_MAX: no longer path can be opened. */
const RESOURCE_PATH_LENGTH_MAX = 4096;

/** The registry's identifiers that Node can compute; `blake3` is optional in OMS and missing here. */
export const fileHashes = {
  sha256: { node: 'sha256', bytes: 32 },
  blake2b: { node: 'blake2b512', bytes: 64 },
} as const;
export type FileHash = keyof typeof fileHashes;

/** The signer's record of how the files were read. `shardSize` in bytes; undefined means whole files. */
export interface Serialization {
  readonly hash: FileHash;
  readonly shardSize: number | undefined;
  readonly allowSymlinks: boolean;
  readonly ignorePaths: readonly string[];
}

/** Bytes from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** A file, or a shard of one. */
export interface ResourceName {
  readonly path: string;
  readonly range: ByteRange | undefined;
}

/** Left out of every signature, at the top of the folder only (OMS 6.2). */
export const defaultIgnorePaths: readonly string[] = ['.git', '.gitattributes', '.github', '.gitignore'];

/** The consecutive shards of a file of `size` bytes; an empty file has none (OMS 6.3.2). */
export function shardRanges(size: number, shardSize: number): readonly ByteRange[] {
  const ranges: ByteRange[] = [];
  for (let start = 0; start < size; start += shardSize) {
    ranges.push({ start, end: Math.min(start + shardSize, size) });
  }
  return ranges;
}

export function encodeResourceName({ path, range }: ResourceName): string {
  return range === undefined ? path : `${path}:${range.start}:${range.end}`;
}

/** Reads `path` or, for shards, `path:start:end`; a path may itself contain colons. Throws `model-path-invalid`. */
export function parseResourceName(name: string, shards: boolean): ResourceName {
  if (!shards) return { path: assertResourcePath(name), range: undefined };
  const match = /^(.+):(0|[1-9]\d{0,15}):([1-9]\d{0,15})$/su.exec(name);
  const [, path, start, end] = match ?? [];
  if (path === undefined || Number(start) >= Number(end) || !Number.isSafeInteger(Number(end))) {
    throw new CoreError('model-path-invalid', `expected "path:start:end", found ${JSON.stringify(name.slice(0, 200))}`);
  }
  return { path: assertResourcePath(path), range: { start: Number(start), end: Number(end) } };
}

/** A relative path in its one form, or "." for a signature over a single file (as OMS 0.3 to 1.0 wrote it). */
function assertResourcePath(path: string): string {
  const plain = path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
  if (
    (plain || path === '.') &&
    !path.includes('\0') &&
    path.isWellFormed() &&
    path.length <= RESOURCE_PATH_LENGTH_MAX
  ) {
    return path;
  }
  throw new CoreError(
    'model-path-invalid',
    `expected a relative path without "." or "..", found ${JSON.stringify(path.slice(0, 200))}`,
  );
}

/** By path component, each by Unicode code point. */
export function comparePaths(a: string, b: string): number {
  const left = a.split('/');
  const right = b.split('/');
  for (let index = 0; index < left.length && index < right.length; index += 1) {
    const order = compareCodePoints(left[index] ?? '', right[index] ?? '');
    if (order !== 0) return order;
  }
  return left.length - right.length;
}

export function compareResourceNames(a: ResourceName, b: ResourceName): number {
  return comparePaths(a.path, b.path) || (a.range?.start ?? 0) - (b.range?.start ?? 0);
}

// UTF-8 keeps the order of code points; JavaScript's own comparison is by UTF-16 unit, which puts U+1F600 before U+FF5E.
function compareCodePoints(a: string, b: string): number {
  return a === b ? 0 : Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

/** Whether `path` is one of `ignored` or below one. Entries that name nothing inside the model match nothing. */
export function isIgnored(path: string, ignored: readonly string[]): boolean {
  return ignored.some((entry) => {
    const prefix = entry.replace(/^(?:\.\/+)+/, '').replace(/\/+$/, '');
    return prefix !== '' && (path === prefix || path.startsWith(`${prefix}/`));
  });
}
