// Replacing a small file so that a crash leaves the old or the new contents, never a mixture and never nothing.
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes beside `path`, syncs, renames over it, syncs the folder. One writer a path; mode 0600. */
export async function replaceFile(path: string, contents: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(contents);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
