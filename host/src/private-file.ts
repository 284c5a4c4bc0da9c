// Reads a file that decides who this device is, or that only its owner may know: refuses a file that others could have written or read.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { isMissing } from './missing-file.ts';

export interface PrivateFileRules {
  readonly maxBytes: number;
  /** Bits of the mode that must be clear. */
  readonly forbidden: number;
  /** A symbolic link is followed: a user who may change the folder chooses the file. */
  readonly followsLinks?: boolean;
}

/** Others may neither read nor change it. */
export const groupAndOthers = 0o077;
/** Others may read it, but not change it. */
export const writableByOthers = 0o022;

/**
 * The bytes; undefined when there is no such file. It must be a regular file of this user or of root. `refused` gets the fault, and its
 * error is thrown. The caller zeroes the bytes of a key.
 */
export async function readPrivateFile(
  path: string,
  { maxBytes, forbidden, followsLinks = false }: PrivateFileRules,
  refused: (problem: string, options?: ErrorOptions) => Error,
): Promise<Buffer | undefined> {
  // Opening a pipe would wait for its other end.
  const flags = constants.O_RDONLY | constants.O_NONBLOCK | (followsLinks ? 0 : constants.O_NOFOLLOW);
  const file = await open(path, flags).catch((cause: unknown) => {
    if (isMissing(cause)) return undefined;
    throw refused('it cannot be opened', { cause });
  });
  if (file === undefined) return undefined;
  try {
    const found = await file.stat();
    const { mode, uid, size } = found;
    if (!found.isFile()) throw refused('it is not a file');
    if ((mode & forbidden) !== 0) throw refused('other users may read or change it: chmod 600');
    if (uid !== 0 && uid !== process.getuid?.()) throw refused('it belongs to another user');
    if (size > maxBytes) throw refused(`${size} bytes, at most ${maxBytes}`);
    return await file.readFile();
  } finally {
    await file.close();
  }
}
