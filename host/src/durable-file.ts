// Files that are complete on disk or absent, even if the power fails at any moment: the bytes are synced before the file gets its name, and
// the folder after that. Only their owner can read them, unless a caller says otherwise.
import { randomBytes } from 'node:crypto';
import { link, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces `path` in one step: a reader sees the old bytes or the new ones. One writer per path. */
export async function replaceFile(path: string, contents: string | Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  // A crash left it. Do not write into it: it may be a link to another file.
  await rm(temporary, { force: true });
  await writeSynced(temporary, contents, 0o600);
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** Writes a file that must not exist yet, also on a medium without links. Throws `EEXIST`: an existing file is never overwritten. */
export async function writeNewFile(path: string, contents: string | Uint8Array, mode = 0o600): Promise<void> {
  await writeSynced(path, contents, mode);
  await syncFolder(dirname(path));
}

/** Writes a file unless the name exists; returns false when it does. Of two concurrent programs, one writes the whole file. */
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

/** Waits until a file that something else wrote, and its name, are on the disk. */
export async function syncFile(path: string): Promise<void> {
  {
    await using file = await open(path, 'r+');
    await file.sync();
  }
  await syncFolder(dirname(path));
}

async function writeSynced(path: string, contents: string | Uint8Array, mode: number): Promise<void> {
  await using file = await open(path, 'wx', mode);
  try {
    await file.writeFile(contents);
    await file.sync();
  } catch (error) {
    // A full disk: half a key would block the next attempt.
    await rm(path, { force: true });
    throw error;
  }
}
