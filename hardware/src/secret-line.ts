// A secret that is alone on one line of a file (a PIN, a password): never an argument, an environment variable or a setting, because other
// programs or logs see all of those.
import { readPrivateFile } from '@edgekeep/host/private-file';
import type { HardwareError } from './error.ts';

// Group reading is allowed: systemd shows the access list of its credentials there.
const groupWriteAndOthers = 0o027;

type Unreadable = (problem: string, options?: ErrorOptions) => HardwareError;

/** Throws what `unreadable` makes for a file that is missing, empty, too long, has several lines, or is readable by others. */
export async function readSecretLine(path: string, maxBytes: number, unreadable: Unreadable): Promise<string> {
  // Secrets that a cluster mounts are symbolic links.
  const rules = { maxBytes, forbidden: groupWriteAndOthers, followsLinks: true };
  const bytes = await readPrivateFile(path, rules, unreadable);
  if (bytes === undefined) throw unreadable('there is no such file');
  const line = bytes.toString('utf8').replace(/\r?\n$/, '');
  bytes.fill(0);
  if (line === '' || /[\0\r\n]/.test(line)) throw unreadable('expected the secret alone, on one line');
  return line;
}
