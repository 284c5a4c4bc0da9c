// Whether another local user could have written the file at a path. A trusted file (code, settings, a program to run) must belong to this
// user or root, and so must every folder above it, because the owner of a folder can replace a file in it.
import { realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const writableByGroup = 0o020;
const writableByAll = 0o002;
/** In such a folder nobody can rename or remove another user's file. */
const sticky = 0o1000;

/**
 * Why another user could have written the file or folder at `path`, with the part of the path that is at fault; undefined when none could.
 */
export function othersMayWrite(path: string): string | undefined {
  const own = process.getuid?.();
  const group = process.getgid?.();
  // Systems without users have no other users.
  if (own === undefined) return undefined;
  const whole = realpathSync(path);
  for (let part = whole; part !== dirname(part); part = dirname(part)) {
    const { uid, gid, mode } = statSync(part);
    if (uid !== own && uid !== 0) return `${part} belongs to user ${uid}`;
    // The owner of an entry in a sticky folder was checked one step before.
    if (part !== whole && (mode & sticky) !== 0) continue;
    if ((mode & writableByAll) !== 0) return `${part} can be written by every user`;
    // Many systems give each user a separate group, and files that this group may write.
    if ((mode & writableByGroup) !== 0 && gid !== group && gid !== 0) return `${part} can be written by group ${gid}`;
  }
  return undefined;
}
