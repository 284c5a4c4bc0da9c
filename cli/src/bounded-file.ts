// Files read with a limit, so that a wrong path (a model, /dev/zero) is an error and not a wait; and those with a secret in them.
import type { Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { CoreError } from '@edgekeep/core/error';
import { HostError } from '@edgekeep/host/error';
import { groupAndOthers } from '@edgekeep/host/private-file';

/** The whole file, if it has at most `maxBytes` bytes; else throws `bytes-too-long`. */
export function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  return read(path, maxBytes, () => undefined);
}

/**
 * As `readBounded`, for a file with a key or a token in it. Like ssh, throws `file-not-private` for a file of this user that others may read or
 * change. A file of another user, a pipe and a descriptor are not checked.
 */
export function readSecretFile(path: string, maxBytes: number): Promise<Uint8Array> {
  return read(path, maxBytes, (found) => {
    if (!found.isFile() || found.uid !== process.getuid?.() || (found.mode & groupAndOthers) === 0) return;
    const mode = (found.mode & 0o777).toString(8).padStart(4, '0');
    throw new HostError(
      'file-not-private',
      `${path} has mode ${mode}: others may read the secret in it: chmod 600 ${path}`,
    );
  });
}

async function read(path: string, maxBytes: number, assertFit: (found: Stats) => void): Promise<Uint8Array> {
  const handle = await open(path);
  try {
    assertFit(await handle.stat());
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of handle.createReadStream({ end: maxBytes, autoClose: false })) {
      if (!(part instanceof Uint8Array)) continue;
      parts.push(part);
      length += part.length;
    }
    if (length > maxBytes) throw new CoreError('bytes-too-long', `${path}: over ${maxBytes} bytes`);
    return Buffer.concat(parts);
  } finally {
    await handle.close();
  }
}
