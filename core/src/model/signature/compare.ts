// Compares the signed statement with the files on disk: which bytes to hash, and what a difference means. Pure: the caller, who has the
// files, walks and hashes them, and returns the digests in the order of the jobs (OMS v1.0 sections 6 and 8.4).
import { CoreError } from '../../error.ts';
import { fileReason, type SignatureReason } from './reason.ts';
import {
  type ByteRange,
  defaultIgnorePaths,
  type FileHash,
  isIgnored,
  parseResourceName,
  RESOURCE_COUNT_MAX,
  type Serialization,
  shardRanges,
} from './serialization.ts';
import type { ModelStatement, Resource } from './statement.ts';

/** One entry of the model's folder; a followed link counts as its target. Size in bytes. */
export interface ModelEntry {
  readonly path: string;
  readonly kind: 'file' | 'symbolic-link' | 'special';
  readonly size: number;
}

/** A model on disk. For a single file, `entries` has that file under its own name. */
export interface ModelListing {
  readonly name: string;
  readonly kind: 'folder' | 'file';
  readonly entries: readonly ModelEntry[];
}

/** Bytes to hash: a whole file to its end, or a range of one. */
export interface HashJob {
  readonly path: string;
  readonly range: ByteRange | undefined;
  readonly hash: FileHash;
}

/**
 * What a signature over this listing covers. Throws `model-path-invalid` for a link, a device, a name that OMS cannot hold, or no file at
 * all.
 */
export function planSigning(listing: ModelListing, serialization: Serialization): readonly HashJob[] {
  const { hash, shardSize } = serialization;
  assertCount(listing.entries.length);
  const jobs: HashJob[] = [];
  for (const { path, kind, size } of listing.entries) {
    if (isIgnored(path, serialization.ignorePaths)) continue;
    if (kind !== 'file') {
      throw new CoreError(
        'model-path-invalid',
        `${JSON.stringify(path)}: a ${kind} cannot be signed; ignore or replace it`,
      );
    }
    parseResourceName(path, false);
    if (shardSize !== undefined) assertCount(Math.ceil(size / shardSize));
    const ranges = shardSize === undefined ? [undefined] : shardRanges(size, shardSize);
    for (const range of ranges) jobs.push({ path, range, hash });
    assertCount(jobs.length);
  }
  if (jobs.length === 0) throw new CoreError('model-path-invalid', 'the model holds no bytes to sign');
  return jobs;
}

function assertCount(count: number): void {
  if (count > RESOURCE_COUNT_MAX) {
    throw new CoreError('model-path-invalid', `more than ${RESOURCE_COUNT_MAX} files or shards`);
  }
}

/** What a verifier ignores: the paths that OMS and the signer leave out, and those that the reader names; but never a signed file. */
export function ignoredWhileVerifying(
  { serialization, resources }: ModelStatement,
  asked: readonly string[],
): readonly string[] {
  const ignored = [...new Set([...defaultIgnorePaths, ...serialization.ignorePaths, ...asked])];
  return ignored.filter((entry) => !resources.some(({ path }) => isIgnored(path, [entry])));
}

export interface VerificationOptions {
  /** Unsigned files to accept: `ignoredWhileVerifying`. */
  readonly ignorePaths: readonly string[];
  /** Accept every file the signature does not list. */
  readonly ignoreUnsignedFiles: boolean;
}

export interface VerificationPlan {
  /** Differences known without reading a byte. */
  readonly reasons: readonly SignatureReason[];
  readonly jobs: readonly (HashJob & { readonly digest: string })[];
}

/** Compares names, kinds and sizes, and lists what must be hashed. */
export function planVerification(
  { serialization, resources }: ModelStatement,
  listing: ModelListing,
  options: VerificationOptions,
): VerificationPlan {
  assertCount(listing.entries.length);
  const signed = Map.groupBy(resources, ({ path }) => (path === '.' && listing.kind === 'file' ? listing.name : path));
  const found = new Map(listing.entries.map((entry) => [entry.path, entry]));
  const reasons: SignatureReason[] = [];
  const jobs: (HashJob & { readonly digest: string })[] = [];

  for (const [path, parts] of signed) {
    const reason = unreadable(path, found.get(path), parts);
    if (reason !== undefined) reasons.push(reason);
    else for (const { range, digest } of parts) jobs.push({ path, range, hash: serialization.hash, digest });
  }
  for (const { path, kind, size } of listing.entries) {
    // OMS 6.3.2: shards leave empty files out, so an empty file looks like an unsigned one.
    const uncovered = serialization.shardSize !== undefined && kind === 'file' && size === 0;
    if (signed.has(path) || uncovered || options.ignoreUnsignedFiles || isIgnored(path, options.ignorePaths)) continue;
    reasons.push(fileReason('unsigned-file', path, 'not covered by the signature'));
  }
  return { reasons, jobs };
}

function unreadable(
  path: string,
  entry: ModelEntry | undefined,
  parts: readonly Resource[],
): SignatureReason | undefined {
  if (entry === undefined) return fileReason('missing-file', path, 'signed, but not there');
  if (entry.kind === 'symbolic-link')
    return fileReason('symbolic-link', path, 'a symbolic link, and the signer allowed none');
  if (entry.kind === 'special') return fileReason('special-file', path, 'signed as a file, but not one');
  // Shards show a file's length, so bytes after the last one are noticed too.
  const size = parts.reduce((end, { range }) => Math.max(end, range?.end ?? entry.size), 0);
  if (size === entry.size) return undefined;
  return fileReason('digest-mismatch', path, `signed with ${size} bytes, found ${entry.size}`);
}

/** `digests` are lower-case hex, one for each job in order; undefined where the file changed or vanished while it was read. */
export function compareDigests(
  jobs: VerificationPlan['jobs'],
  digests: readonly (string | undefined)[],
): readonly SignatureReason[] {
  const reasons: SignatureReason[] = [];
  for (const [index, { path, range, digest }] of jobs.entries()) {
    const found = digests[index];
    if (found === digest) continue;
    const where = range === undefined ? '' : ` in bytes ${range.start} to ${range.end}`;
    reasons.push(
      fileReason('digest-mismatch', path, `signed as ${digest}${where}, found ${found ?? 'it changed while read'}`),
    );
  }
  return reasons;
}
