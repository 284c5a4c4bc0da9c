// Files of a manufacturer: whole on the disk, or not there; and never replaced once they are.
import { randomBytes } from 'node:crypto';
import { link, open, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a file unless there is one of that name; false when there is. Two programs at one time end with one file. */
export async function writeOnce(path: string, contents: string): Promise<boolean> {
  const temporary = `${path}.${randomBytes(8).toString('hex')}.new`;
  await using removed = new AsyncDisposableStack();
  removed.defer(() => rm(temporary, { force: true }));
  {
    await using file = await open(temporary, 'wx', 0o600);
    await file.writeFile(contents);
    await file.sync();
  }
  try {
    // Unlike a rename, a link fails where a file is.
    await link(temporary, path);
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  }
  await using folder = await open(dirname(path), 'r');
  await folder.sync();
  return true;
}

/** Writes a file that must not be there yet; also where a medium knows no links. Throws `EEXIST`. */
export async function writeNew(path: string, contents: string): Promise<void> {
  await using file = await open(path, 'wx', 0o600);
  await file.writeFile(contents);
  await file.sync();
}

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
