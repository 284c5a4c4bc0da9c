// The place of a file that a verb makes: as it is named, or in a folder under a name that says what is in it, so that two files of a ceremony
// are never mixed up. An existing file is refused before anything is made or signed.
import { statSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** `out` is a file or a folder that exists; left out: in `folder`. */
export function placeIn(out: string | undefined, folder: string, name: () => string): string {
  if (out === undefined) return join(folder, name());
  const isFolder = out.endsWith('/') || statSync(out, { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder ? join(out, name()) : out;
}

/** Throws the failure of the system that writing it would meet: `EEXIST`, or no permission. */
export async function assertNewFile(path: string): Promise<void> {
  await (await open(path, 'wx')).close();
  await rm(path);
}

/** As in names of files: `2026-11-30`. */
export function dayText(milliseconds: number): string {
  return new Date(milliseconds).toISOString().slice(0, 10);
}
