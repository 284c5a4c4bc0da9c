// The files of a model on disk: walks the folder and hashes it, for core's signing and verifying (spec/model-signature.md). Files are
// streamed, a few at a time; links are followed only where the signer did; devices and pipes are never opened.
import { createHash } from 'node:crypto';
import { constants, type Dirent, type Stats } from 'node:fs';
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { toHex } from '@edgekeep/core/bytes';
import type { HashJob, ModelEntry, ModelListing } from '@edgekeep/core/model/signature/compare';
import { comparePaths, fileHashes, isIgnored, RESOURCE_COUNT_MAX } from '@edgekeep/core/model/signature/serialization';

/** Enough to keep a disk busy; hashing runs on one thread. */
const READERS_MAX = 4;
const chunkLength = 1024 * 1024;
/** Deeper than any model; a loop of followed links ends here at the latest. */
const DEPTH_MAX = 64;

export interface WalkOptions {
  readonly followLinks: boolean;
  /** Not walked into; relative to the root, with "/". */
  readonly ignorePaths: readonly string[];
}

/** Everything below `root`, or the one file that it is. Folders are not listed. Sizes are those at this moment. */
export async function listModelFiles(root: string, options: WalkOptions): Promise<ModelListing> {
  const path = resolve(root);
  const stats = await stat(path);
  const name = basename(path);
  if (!stats.isDirectory()) return { name, kind: 'file', entries: [entryOf(name, stats)] };
  const entries: ModelEntry[] = [];
  await walk({ root: path, options, entries }, '', [await realpath(path)]);
  return { name, kind: 'folder', entries: entries.sort((a, b) => comparePaths(a.path, b.path)) };
}

interface Walk {
  readonly root: string;
  readonly options: WalkOptions;
  readonly entries: ModelEntry[];
}

// `ancestors` are the real paths of the folders above, so that a link back to one of them is seen.
async function walk({ root, options, entries }: Walk, folder: string, ancestors: readonly string[]): Promise<void> {
  for (const found of await readdir(join(root, folder), { withFileTypes: true, encoding: 'buffer' })) {
    // One more than core accepts: core refuses the listing, so a folder with millions of files ends here.
    if (entries.length > RESOURCE_COUNT_MAX) return;
    const path = folder === '' ? nameOf(found) : `${folder}/${nameOf(found)}`;
    if (isIgnored(path, options.ignorePaths)) continue;
    if (!isUtf8Name(found)) {
      entries.push({ path, kind: 'special', size: 0 });
      continue;
    }
    const stats = await lstat(join(root, path));
    const target = stats.isSymbolicLink() && options.followLinks ? await followed(join(root, path)) : stats;
    if (!target.isDirectory()) {
      entries.push(entryOf(path, target));
      continue;
    }
    const real = await realpath(join(root, path));
    if (ancestors.includes(real)) entries.push(entryOf(path, stats));
    else if (ancestors.length > DEPTH_MAX) entries.push({ path, kind: 'special', size: 0 });
    else await walk({ root, options, entries }, path, [...ancestors, real]);
  }
}

function nameOf(found: Dirent<Buffer>): string {
  return found.name.toString('utf8');
}

function isUtf8Name(found: Dirent<Buffer>): boolean {
  return Buffer.from(nameOf(found), 'utf8').equals(found.name);
}

async function followed(path: string): Promise<Stats> {
  // A link to nothing, or into a loop, stays a link and is refused as one.
  return stat(path).catch(() => lstat(path));
}

function entryOf(path: string, stats: Stats): ModelEntry {
  const kind = stats.isFile() ? 'file' : stats.isSymbolicLink() ? 'symbolic-link' : 'special';
  return { path, kind, size: stats.size };
}

/** Lower-case hex digests in the order of `jobs`; undefined for a file that vanished, shrank, or is no longer a plain file. */
export async function hashModelFiles(
  root: string,
  listing: Pick<ModelListing, 'kind'>,
  jobs: readonly HashJob[],
  followLinks: boolean,
): Promise<readonly (string | undefined)[]> {
  const digests: (string | undefined)[] = Array.from({ length: jobs.length });
  const queue = jobs.entries();
  const reader = async () => {
    for (const [index, job] of queue) {
      const path = listing.kind === 'file' ? resolve(root) : join(root, job.path);
      digests[index] = await hashFile(path, job, followLinks || listing.kind === 'file');
    }
  };
  await Promise.all(Array.from({ length: READERS_MAX }, reader));
  return digests;
}

async function hashFile(path: string, { range, hash }: HashJob, followLinks: boolean): Promise<string | undefined> {
  // Without NONBLOCK, opening a pipe in place of the file would wait for a writer forever.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (followLinks ? 0 : constants.O_NOFOLLOW);
  const handle = await open(path, flags).catch(undefinedIfGone);
  if (handle === undefined) return undefined;
  try {
    if (!(await handle.stat()).isFile()) return undefined;
    const digest = createHash(fileHashes[hash].node);
    const bounds = range === undefined ? {} : { start: range.start, end: range.end - 1 };
    let length = 0;
    for await (const chunk of handle.createReadStream({ ...bounds, highWaterMark: chunkLength, autoClose: false })) {
      if (!(chunk instanceof Uint8Array)) return undefined;
      digest.update(chunk);
      length += chunk.length;
    }
    return range === undefined || length === range.end - range.start ? toHex(digest.digest()) : undefined;
  } finally {
    await handle.close();
  }
}

// Removed or replaced by a link since the folder was listed. The caller gets every other failure (permissions, a bad disk).
function undefinedIfGone(error: unknown): undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO') return undefined;
  throw error;
}
