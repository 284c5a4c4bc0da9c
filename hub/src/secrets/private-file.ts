// Writes files that are complete or absent after a power cut, readable by the hub's user only.
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Replaces `path` in one step: a reader sees the old bytes or the new ones. */
export async function replacePrivateFile(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  await rm(temporary, { force: true });
  await writePrivateFile(temporary, bytes);
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/** Writes a file that must not exist yet ('wx': an existing key is never overwritten, even by a wrong call). */
export async function writePrivateFile(path: string, bytes: string | Uint8Array): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(bytes);
  await file.sync();
}

/** Waits until the names in a folder are on the disk. */
export async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r');
  await folder.sync();
}
