// Makes a folder and its missing parents, one after the other. `mkdir` with `recursive` never ends where a parent exists but takes no folder,
// as in /proc: it looks for a missing parent again and again.
import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { HostError } from './error.ts';
import { orIfMissing } from './missing-file.ts';
import { systemFailureText } from './system-failure.ts';

/**
 * Returns the topmost folder that it made, undefined when all exist. Each folder that it makes gets `mode`; those that exist keep theirs.
 * Throws `folder-unusable`, which names the folder that cannot be made, with the failure of the system as its cause.
 */
export async function makeFolder(
  path: string,
  { mode = 0o777 }: { readonly mode?: number } = {},
): Promise<string | undefined> {
  const missing = await missingFolders(resolve(path));
  for (const folder of missing) {
    try {
      await mkdir(folder, { mode });
    } catch (cause) {
      // Another process made it meanwhile.
      if (!(await isFolder(folder))) throw unusable(folder, cause);
    }
  }
  return missing[0];
}

/** From the top down; each step upward shortens the path, and the root exists. */
async function missingFolders(path: string): Promise<readonly string[]> {
  const missing: string[] = [];
  for (let at = path; !(await isFolder(at)); at = dirname(at)) missing.unshift(at);
  return missing;
}

/** False when nothing exists there; throws for anything but a folder. */
async function isFolder(path: string): Promise<boolean> {
  const found = await orIfMissing(stat(path), undefined).catch((cause: unknown) => {
    throw unusable(path, cause);
  });
  if (found !== undefined && !found.isDirectory())
    throw new HostError(
      'folder-unusable',
      `the folder ${path} cannot be made: a file has its name; give another place`,
    );
  return found !== undefined;
}

function unusable(folder: string, cause: unknown): HostError {
  const why = systemFailureText(cause) ?? (cause instanceof Error ? cause.message : 'the system refused it');
  return new HostError('folder-unusable', `the folder ${folder} cannot be made: ${why}`, { cause });
}
