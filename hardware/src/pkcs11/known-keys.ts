// The keys that this device found or made in its token the first time. A token with other keys, or none, belongs to another device: it must
// not silently become this one by making new keys in it.
import { readFile } from 'node:fs/promises';
import { equalBytes, parseHex, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { encodeP256Point, parseP256Point } from '@edgekeep/core/identity/p256-point';
import { replaceFile } from '@edgekeep/host/durable-file';
import { HardwareError } from '../error.ts';
import type { PublicKeys } from './token-session.ts';

/** Undefined before the first time. Throws `software-state-invalid` for a file that `writeKnownKeys` did not write. */
export async function readKnownKeys(path: string): Promise<PublicKeys | undefined> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  try {
    const keys = parseKeys(text);
    if (equalBytes(Buffer.from(text), encodeKeys(keys))) return keys;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
  }
  throw new HardwareError('software-state-invalid', `${path}: expected the two public keys of the token`);
}

/** Public keys only: nothing in the file is secret. */
export async function writeKnownKeys(path: string, keys: PublicKeys): Promise<void> {
  await replaceFile(path, encodeKeys(keys));
}

function parseKeys(text: string): PublicKeys {
  const [signing = '', agreement = ''] = text.split('\n');
  return { signing: parseP256Point(parseHex(signing, 'key')), agreement: parseP256Point(parseHex(agreement, 'key')) };
}

function encodeKeys({ signing, agreement }: PublicKeys): Uint8Array {
  return Buffer.from(`${toHex(encodeP256Point(signing))}\n${toHex(encodeP256Point(agreement))}\n`);
}
