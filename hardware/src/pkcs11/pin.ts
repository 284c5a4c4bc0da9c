// The user PIN of a token, read from a file each time it is needed.
import { HardwareError } from '../error.ts';
import { readSecretLine } from '../secret-line.ts';

/** Tokens take up to 255 bytes; leaves room for a line end. */
const PIN_FILE_BYTES_MAX = 258;

/** The only line of the file. Throws `pkcs11-pin-unreadable`. */
export async function readPin(path: string): Promise<string> {
  return readSecretLine(
    path,
    PIN_FILE_BYTES_MAX,
    (problem, options) => new HardwareError('pkcs11-pin-unreadable', `PIN file ${path}: ${problem}`, options),
  );
}
