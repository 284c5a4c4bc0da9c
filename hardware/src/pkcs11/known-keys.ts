// The keys that this device found or made in its token the first time. A token with other keys, or none, belongs to another device: it must
// not silently become this one by making new keys in it.
import { equalBytes, parseHex, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { encodeP256Point, parseP256Point } from '@edgekeep/core/identity/p256-point';
import { readEither, replaceBoth } from '@edgekeep/host/two-copies';
import { HardwareError } from '../error.ts';
import type { PublicKeys } from './token-session.ts';

/** Undefined before the first time. Throws `software-state-invalid` for a file that `writeKnownKeys` did not write. */
export async function readKnownKeys(path: string): Promise<PublicKeys | undefined> {
  const found = await readEither(path, { parse: (bytes) => parseKeys(path, bytes) });
  if (found.kind === 'none') return undefined;
  if (found.kind === 'found') return found.value;
  const { cause } = found;
  const message = `${path}: expected the two public keys of the token, and its second copy is no better: restore it, or have an operator wipe the device`;
  throw new HardwareError('software-state-invalid', message, { cause });
}

/** Public keys only: nothing in the file is secret. */
export async function writeKnownKeys(path: string, keys: PublicKeys): Promise<void> {
  await replaceBoth(path, encodeKeys(keys));
}

function parseKeys(path: string, bytes: Uint8Array): PublicKeys {
  const point = (text = '') => parseP256Point(parseHex(text, 'key'));
  const [signing, agreement] = Buffer.from(bytes).toString('utf8').split('\n');
  const keys = { signing: point(signing), agreement: point(agreement) };
  if (equalBytes(bytes, encodeKeys(keys))) return keys;
  throw new CoreError('encoding-invalid', `${path}: more than two keys, or in another form`);
}

function encodeKeys({ signing, agreement }: PublicKeys): Uint8Array {
  return Buffer.from(`${toHex(encodeP256Point(signing))}\n${toHex(encodeP256Point(agreement))}\n`);
}
