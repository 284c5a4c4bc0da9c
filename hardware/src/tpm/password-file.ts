// The password of a hierarchy of a TPM (its authorization value), from a file.
import { parseHex, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { HardwareError } from '../error.ts';
import { readSecretLine } from '../secret-line.ts';

/** A TPM takes at most its largest digest. */
const PASSWORD_BYTES_MAX = 64;
/** In hexadecimal, after `hex:`, with room for a line end. */
const FILE_BYTES_MAX = 4 + 2 * PASSWORD_BYTES_MAX + 2;

/** The only line of the file; after `hex:` its bytes, as tpm2-tools has it. Throws `tpm-password-unreadable`. */
export async function readPassword(path: string): Promise<Uint8Array> {
  const line = await readSecretLine(path, FILE_BYTES_MAX, (problem, options) => unreadable(path, problem, options));
  const password = line.startsWith('hex:') ? fromHex(path, line.slice('hex:'.length)) : utf8(line);
  if (password.length > PASSWORD_BYTES_MAX) throw unreadable(path, `more than ${PASSWORD_BYTES_MAX} bytes`);
  return withoutTrailingZeros(password);
}

function fromHex(path: string, text: string): Uint8Array {
  try {
    return parseHex(text, 'password');
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw unreadable(path, 'after `hex:` are no hexadecimal digits', { cause });
  }
}

/** As a TPM keeps it (TPM 2.0 Part 1, 19.6.4.3). */
function withoutTrailingZeros(password: Uint8Array): Uint8Array {
  let length = password.length;
  while (length > 0 && password[length - 1] === 0) length -= 1;
  return password.subarray(0, length);
}

function unreadable(path: string, problem: string, options?: ErrorOptions): HardwareError {
  return new HardwareError('tpm-password-unreadable', `password file ${path}: ${problem}`, options);
}
