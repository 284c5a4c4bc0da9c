// The user PIN of a token, read from a file each time it is needed: never an argument, an environment variable or a setting, because other
// programs or logs see all of those.
import { readPrivateFile } from '@edgekeep/host/private-file';
import { HardwareError } from '../error.ts';

// Group reading is allowed: systemd shows the access list of its credentials there.
const groupWriteAndOthers = 0o027;
/** Tokens take up to 255 bytes; leaves room for a line end. */
const PIN_FILE_BYTES_MAX = 258;

/**
 * The only line of the file. Throws `pkcs11-pin-unreadable` for a file that is missing, empty, has several lines, or is readable by others.
 */
export async function readPin(path: string): Promise<string> {
  // Secrets that a cluster mounts are symbolic links.
  const rules = { maxBytes: PIN_FILE_BYTES_MAX, forbidden: groupWriteAndOthers, followsLinks: true };
  const bytes = await readPrivateFile(path, rules, (problem, options) => unreadable(path, problem, options));
  if (bytes === undefined) throw unreadable(path, 'it cannot be opened: there is no such file');
  const pin = bytes.toString('utf8').replace(/\r?\n$/, '');
  bytes.fill(0);
  if (pin === '' || /[\0\r\n]/.test(pin)) throw unreadable(path, 'expected the PIN alone, on one line');
  return pin;
}

function unreadable(path: string, problem: string, options?: ErrorOptions): HardwareError {
  return new HardwareError('pkcs11-pin-unreadable', `PIN file ${path}: ${problem}`, options);
}
