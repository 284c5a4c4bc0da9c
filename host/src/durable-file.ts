// Files that are whole on the disk or not there, whatever moment the power fails: the bytes are synced before the file gets its name, and the
// folder after that. Readable by their owner only, unless a caller says otherwise.
import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces `path` in one step: a reader sees the old bytes or the new ones. One writer a path. */
export async function replaceFile(path: string, contents: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  // A crash left it. It is not written into: it may be a link to another file.
  await rm(temporary, { force: true });
  await writeSynced(temporary, contents, 0o600);
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** Writes a file that must not be there yet, also where a medium knows no links. Throws `EEXIST`: what is there is never overwritten. */
export async function writeNewFile(path: string, contents: string | Uint8Array, mode = 0o600): Promise<void> {
  await writeSynced(path, contents, mode);
  await syncFolder(dirname(path));
}

/** Writes a file unless there is one of that name; false when there is. Two programs at one time end with one whole file. */
export async function writeFileOnce(path: string, contents: string | Uint8Array): Promise<boolean> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.new`;
  await using removed = new AsyncDisposableStack();
  removed.defer(() => rm(temporary, { force: true }));
  await writeSynced(temporary, contents, 0o600);
  try {
    // Unlike a rename, a link fails where a file is.
    await link(temporary, path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
  await syncFolder(dirname(path));
  return true;
}

/** Waits until the names in a folder are on the disk. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}

async function writeSynced(path: string, contents: string | Uint8Array, mode: number): Promise<void> {
  await using file = await open(path, 'wx', mode);
  try {
    await file.writeFile(contents);
    await file.sync();
  } catch (error) {
    // A full disk: half a key would be in the way of the next attempt.
    await rm(path, { force: true });
    throw error;
  }
}
