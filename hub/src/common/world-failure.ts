// Failures of the environment, in words for people: a read-only folder, a full disk. Node and SQLite name these by numbers
// and abbreviations.
import { messageOf } from '@edgekeep/core/message-of';
import { HostError } from '@edgekeep/host/error';
import { relative, resolve } from 'node:path';
import { HubError } from './error.ts';

const systemTexts: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'it is read-only',
  ENOSPC: 'no space is left on its disk',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'a part of its path is not a folder',
  EMFILE: 'too many files are open (ulimit -n)',
  ENFILE: 'too many files are open on this machine',
};

/** Primary result codes of SQLite. */
const sqliteTexts: ReadonlyMap<number, string> = new Map([
  [5, 'its store is locked by another program'],
  [8, 'it is read-only'],
  [10, 'its disk fails or is full'],
  [11, 'its store is damaged: restore it from a backup'],
  [13, 'no space is left on its disk'],
  [14, 'its store cannot be opened: permissions, or no space left'],
  [26, 'hub.sqlite is not a store'],
]);

/** In words, where the environment failed; undefined for anything else. */
export function worldFailureOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if ('errcode' in at && typeof at.errcode === 'number') return sqliteTexts.get(at.errcode & 0xff);
    if ('code' in at && typeof at.code === 'string' && at.code in systemTexts) return systemTexts[at.code];
    // On a read-only disk, making a folder with its parents reports this: the folder itself is missing.
    if ('syscall' in at && at.syscall === 'mkdir' && 'code' in at && at.code === 'ENOENT')
      return 'no folder can be made there: is its disk read-only?';
  }
  return undefined;
}

export function failureText(error: unknown): string {
  return worldFailureOf(error) ?? messageOf(error);
}

/** The same error, or `folder-unusable` where it means that the data folder fails. */
export function asFolderError(folder: string, error: unknown): unknown {
  if (error instanceof HostError && error.code === 'folder-unusable')
    return new HubError('folder-unusable', error.message, { cause: error });
  if (isElsewhere(folder, error)) return error;
  const text = worldFailureOf(error);
  if (text === undefined || (error instanceof HubError && error.code !== 'store-failed')) return error;
  return new HubError('folder-unusable', `${folder} cannot be used: ${text}`, { cause: error });
}

/** A failure at a path that is not in the folder, such as the file of `--out`. */
function isElsewhere(folder: string, error: unknown): boolean {
  if (!(error instanceof Error && 'path' in error && typeof error.path === 'string')) return false;
  return /^\.\.(\/|$)/.test(relative(resolve(folder), resolve(error.path)));
}
