// Files whose loss would stop a device, or make it forget what it must remember (spec/agent.md, "What the state folder holds"): each is there
// twice. The second copy has its own digest and is written first, so a power cut leaves at least one of the two whole.
import { createHash } from 'node:crypto';
import { readFile, rename, rm } from 'node:fs/promises';
import { replaceFile } from './durable-file.ts';
import { orIfMissing } from './missing-file.ts';

const mark = 'edgekeep-copy/v1 ';
const digestCharacters = 64;

export type Either<T> =
  /** Neither is there. */
  | { readonly kind: 'none' }
  /** `repaired`: the file was missing or damaged, and the second copy was whole. */
  | { readonly kind: 'found'; readonly value: T; readonly repaired: boolean }
  /** At least one is there, and none can be read; `cause` is what is wrong with the file. */
  | { readonly kind: 'damaged'; readonly cause: unknown };

export interface EitherOptions<T> {
  /** Throws for bytes that are not such a file. */
  readonly parse: (bytes: Uint8Array) => T;
  /** Whether the second copy is the newer one, where both are whole and differ; left out: it never is. */
  readonly isNewer?: (copy: T, file: T) => boolean;
  /** Reads one of the two; undefined when there is none. Left out: any file. */
  readonly read?: (path: string) => Promise<Uint8Array | undefined>;
  /** Zeroes the bytes, which hold a key, once `parse` has read them. */
  readonly wipes?: boolean;
}

/** Where the second copy of a file is. */
export function copyOf(path: string): string {
  return `${path}.copy`;
}

/** Replaces both, the second copy first. */
export async function replaceBoth(path: string, contents: Uint8Array): Promise<void> {
  await replaceCopy(path, contents);
  await replaceFile(path, contents);
}

/** Removes both. */
export async function removeBoth(path: string): Promise<void> {
  // The file first: alone, it would be put back from the copy.
  await rm(copyOf(path), { force: true });
  await rm(path, { force: true });
}

/** Moves damaged ones out of the way, for an investigation: `NAME.damaged`. */
export async function setBothAside(path: string): Promise<void> {
  await rm(copyOf(path), { force: true });
  await orIfMissing(rename(path, `${path}.damaged`), undefined);
}

/** The file, or its second copy where the file is missing or damaged. What is missing or differs is written again. */
export async function readEither<T>(path: string, options: EitherOptions<T>): Promise<Either<T>> {
  const { parse, wipes = false } = options;
  const file = await readable(path, options);
  const copy = await readable(copyOf(path), options);
  const second = copy instanceof BadBlock ? copy : contentsOf(copy);
  try {
    return await chosen(path, tried(file, parse), tried(second, parse), options);
  } finally {
    if (wipes) for (const each of [file, copy]) if (each instanceof Uint8Array) each.fill(0);
  }
}

/** The disk cannot give the bytes any more. */
class BadBlock {
  readonly cause: unknown;

  constructor(cause: unknown) {
    this.cause = cause;
  }
}

// A block of the disk that cannot be read, or that the file system finds changed: `EIO`, `EBADMSG`, and `EUCLEAN` (117), which Node has no name for.
const badBlockCodes: ReadonlySet<unknown> = new Set(['EIO', 'EBADMSG', 'Unknown system error -117']);

/** Other failures are thrown: of permission, of too many open files, of who owns the file. */
async function readable<T>(path: string, { read = readIfThere }: EitherOptions<T>) {
  try {
    return await read(path);
  } catch (error) {
    const reason = error instanceof Error && !('syscall' in error) ? error.cause : error;
    if (reason instanceof Error && 'code' in reason && badBlockCodes.has(reason.code)) return new BadBlock(error);
    throw error;
  }
}

async function chosen<T>(
  path: string,
  file: Tried<T>,
  copy: Tried<T>,
  { isNewer = () => false }: EitherOptions<T>,
): Promise<Either<T>> {
  if (file.kind === 'whole') {
    const same = copy.kind === 'whole' && Buffer.compare(copy.bytes, file.bytes) === 0;
    if (same) return { kind: 'found', value: file.value, repaired: false };
    const newest = copy.kind === 'whole' && isNewer(copy.value, file.value) ? copy : file;
    await repaired(() => replaceBoth(path, newest.bytes));
    return { kind: 'found', value: newest.value, repaired: false };
  }
  if (copy.kind === 'whole') {
    await repaired(() => replaceFile(path, copy.bytes));
    return { kind: 'found', value: copy.value, repaired: true };
  }
  if (file.kind === 'none' && copy.kind === 'none') return { kind: 'none' };
  return { kind: 'damaged', cause: file.kind === 'damaged' ? file.cause : copy.kind === 'damaged' && copy.cause };
}

async function replaceCopy(path: string, contents: Uint8Array): Promise<void> {
  const copy = Buffer.concat([Buffer.from(`${mark}${sha256(contents)}\n`), contents]);
  try {
    await replaceFile(copyOf(path), copy);
  } finally {
    // It may be a key.
    copy.fill(0);
  }
}

/** The bytes in a second copy; empty, which no parser takes, where its digest is not theirs. */
function contentsOf(copy: Uint8Array | undefined): Uint8Array | undefined {
  if (copy === undefined) return undefined;
  const begin = mark.length + digestCharacters + 1;
  const head = Buffer.from(copy.subarray(0, begin)).toString('latin1');
  const contents = copy.subarray(begin);
  return head === `${mark}${sha256(contents)}\n` ? contents : new Uint8Array(0);
}

type Tried<T> =
  | { readonly kind: 'none' }
  | { readonly kind: 'whole'; readonly bytes: Uint8Array; readonly value: T }
  | { readonly kind: 'damaged'; readonly cause: unknown };

function tried<T>(bytes: Uint8Array | BadBlock | undefined, parse: (bytes: Uint8Array) => T): Tried<T> {
  if (bytes === undefined) return { kind: 'none' };
  if (bytes instanceof BadBlock) return { kind: 'damaged', cause: bytes.cause };
  try {
    if (bytes.length === 0) throw new RangeError('it is empty');
    return { kind: 'whole', bytes, value: parse(bytes) };
  } catch (cause) {
    return { kind: 'damaged', cause };
  }
}

// What was read holds. On a disk that takes nothing now, the next reader tries again.
async function repaired(write: () => Promise<void>): Promise<void> {
  // As above.
  await write().catch(() => undefined);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function readIfThere(path: string): Promise<Uint8Array | undefined> {
  return orIfMissing(readFile(path), undefined);
}
