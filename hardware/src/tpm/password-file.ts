// The password of a hierarchy of a TPM (its authorization value), from a file: never an argument, an environment variable or a setting, because
// other programs or logs see all of those.
import { parseHex, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { readPrivateFile } from '@edgekeep/host/private-file';
import { HardwareError } from '../error.ts';

// Group reading is allowed: systemd shows the access list of its credentials there.
const groupWriteAndOthers = 0o027;
/** A TPM takes at most its largest digest. */
const PASSWORD_BYTES_MAX = 64;
/** In hexadecimal, after `hex:`, with room for a line end. */
const FILE_BYTES_MAX = 4 + 2 * PASSWORD_BYTES_MAX + 2;

/** The only line of the file; after `hex:` its bytes, as tpm2-tools has it. Throws `tpm-password-unreadable`. */
export async function readPassword(path: string): Promise<Uint8Array> {
  const rules = { maxBytes: FILE_BYTES_MAX, forbidden: groupWriteAndOthers, followsLinks: true };
  const bytes = await readPrivateFile(path, rules, (problem, options) => unreadable(path, problem, options));
  if (bytes === undefined) throw unreadable(path, 'there is no such file');
  const line = bytes.toString('utf8').replace(/\r?\n$/, '');
  bytes.fill(0);
  if (line === '' || /[\0\r\n]/.test(line)) throw unreadable(path, 'it is not one line');
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
