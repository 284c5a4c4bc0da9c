// The user PIN of a token, read from a file each time it is needed: never an argument, a variable of the environment or a setting, all of
// which other programs or logs see.
import { open } from 'node:fs/promises';
import { HardwareError } from '../error.ts';

// Group reading is allowed: systemd shows the access list of its credentials there.
const groupWriteAndOthers = 0o027;
/** Tokens take up to 255 bytes; room for an end of line. */
const pinFileBytesMax = 258;

/** The file's one line. Throws `pkcs11-pin-unreadable` for a file that is missing, empty, of several lines, or open to others. */
export async function readPin(path: string): Promise<string> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw unreadable(path, 'it cannot be opened', { cause });
  });
  try {
    const { mode, size } = await file.stat();
    if ((mode & groupWriteAndOthers) !== 0) throw unreadable(path, 'others may read or change it: chmod 600');
    if (size > pinFileBytesMax) throw unreadable(path, `${size} bytes, not a PIN`);
    const pin = (await file.readFile('utf8')).replace(/\r?\n$/, '');
    if (pin === '' || /[\0\r\n]/.test(pin)) throw unreadable(path, 'expected the PIN alone, on one line');
    return pin;
  } finally {
    await file.close();
  }
}

function unreadable(path: string, problem: string, options?: ErrorOptions): HardwareError {
  return new HardwareError('pkcs11-pin-unreadable', `PIN file ${path}: ${problem}`, options);
}
