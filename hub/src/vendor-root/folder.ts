// Files in `vendor-roots/`, `dice-roots/` and `idevid-roots/` of the data folder (spec/vendor-roots.md, "Folders"): each certificate in
// them is added to the store once. The operator wrote them: a mistake in one file must neither stop the hub without naming the file nor go
// unreported.
import { messageOf } from '@edgekeep/core/message-of';
import { join, relative } from 'node:path';
import { type CertificateFile, readCertificateFolder } from '@edgekeep/wire/file/certificate-files';
import type { VendorRootKind } from '@edgekeep/wire/api/vendor-root';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import { importVendorRoots } from './store.ts';

const vendorRootFolders: readonly (readonly [folder: string, kind: VendorRootKind])[] = [
  ['vendor-roots', 'tpm'],
  ['dice-roots', 'dice'],
  ['idevid-roots', 'idevid'],
];

/** Notices about the folders for the operator, one line each. */
export interface FolderNotices {
  /** Files and certificates that were skipped. */
  readonly unreadable: readonly string[];
  /** Files that were not opened: by their names they contain no certificates. */
  readonly ignored: readonly string[];
  /** Files that are gone although their certificates are still in use. */
  readonly gone: readonly string[];
}

/** Adds new certificates to the store. With `refuse` the first thing that cannot be read throws `vendor-roots-unreadable`. */
export async function importRootFolders(
  folder: string,
  order: { readonly database: Database; readonly onUnreadable: 'skip' | 'refuse'; readonly nowMs: number },
): Promise<FolderNotices> {
  const { database, onUnreadable, nowMs } = order;
  const read = await readRootFolders(folder);
  const unreadable = read.flatMap(({ problems }) => problems);
  const [first] = unreadable;
  if (first !== undefined && onUnreadable === 'refuse')
    throw new HubError('vendor-roots-unreadable', `${first} (the setting vendorRoots.onUnreadable is refuse)`);
  for (const { kind, path, certificates } of read) {
    if (certificates.length === 0) continue;
    const terms = { kind, anchor: false, source: path, actor: 'hub', nowMs, respectRemoved: true };
    await importVendorRoots(database, { ...terms, certificates });
  }
  const ignored = read.filter((file) => file.ignored).map(({ path }) => `${path}: ${otherName}`);
  return { unreadable, ignored, gone: await goneFiles(database, new Set(read.map(({ path }) => path))) };
}

const otherName = 'not read, its name ends in none of .pem, .crt, .cer, .der, .p7b, .p7c';

/** The files in the folders; paths begin with the name of the folder. */
export async function readRootFolders(
  folder: string,
): Promise<readonly (CertificateFile & { readonly kind: VendorRootKind })[]> {
  const files: (CertificateFile & { readonly kind: VendorRootKind })[] = [];
  for (const [name, kind] of vendorRootFolders) {
    const found = await filesIn(join(folder, name));
    files.push(...found.map((file) => ({ ...file, kind, path: relative(folder, file.path) })));
  }
  return files;
}

async function filesIn(folder: string): Promise<readonly CertificateFile[]> {
  try {
    return await readCertificateFolder(folder);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return [];
    const message = messageOf(cause);
    throw new HubError('vendor-roots-unreadable', `${folder} cannot be read: ${message}`, { cause });
  }
}

// Before there was a store, removing a file ended the trust: an operator who removes one now must learn that it did not.
async function goneFiles({ read }: Database, present: ReadonlySet<string>): Promise<readonly string[]> {
  const sources = await read
    .selectFrom('vendor_root')
    .select((q) => ['source', q.fn.countAll<number>().as('certificates')])
    .where('removed_at', 'is', null)
    .where('added_by', '=', 'hub')
    .groupBy('source')
    .orderBy('source')
    .execute();
  return sources
    .filter(({ source }) => !present.has(source))
    .map(({ source, certificates }) => {
      const them = certificates === 1 ? 'certificate still counts' : 'certificates still count';
      return `${source} is gone, and its ${certificates} ${them}: \`edgekeep vendor-root remove\` ends that`;
    });
}
