// A PATH with only the named programs: a machine without the others.
import { access, constants, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

/** The system programs that the guard's sandbox uses. */
export const sandboxPrograms = ['sh', 'cat', 'unshare', 'setpriv', 'prlimit', 'mount', 'chroot'] as const;

export interface FewPrograms extends AsyncDisposable {
  readonly path: string;
}

/** Links to the programs of this list that the machine has. */
export async function fewPrograms(...names: readonly string[]): Promise<FewPrograms> {
  const path = await mkdtemp(join(tmpdir(), 'edgekeep-path-'));
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const name of names) {
    for (const folder of folders) {
      const isThere = await access(join(folder, name), constants.X_OK).then(
        () => true,
        () => false,
      );
      if (!isThere) continue;
      await symlink(join(folder, name), join(path, name));
      break;
    }
  }
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
