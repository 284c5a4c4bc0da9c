// Opens a wrapped model key with a private key in this process's memory: RFC 9180, as spec/access.md requires.
import type { KeyObject } from 'node:crypto';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import { parseBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { hpkeOpen } from '@edgekeep/core/identity/hpke';
import { HardwareError } from '../error.ts';
import type { OpenKeyOptions } from '../root-of-trust.ts';
import { hpkeContextOf } from '../wrapped-key-context.ts';

/**
 * The key inside `wrapped`; the caller zeroes it. Throws `wrapped-key-unsupported` for a key of another kind or without its use, and
 * `wrapped-key-refused` for one that was made for another device or use, or altered.
 */
export function openWithPrivateKey(
  key: WrappedKey,
  options: OpenKeyOptions,
  recipientPrivateKey: KeyObject,
): Uint8Array {
  const { wrapped, info, aad } = hpkeContextOf(key, options, 'software');
  try {
    return hpkeOpen({
      recipientPrivateKey,
      encapsulatedKey: parseBase64url(wrapped.encapsulatedKey, 'encapsulated key'),
      ciphertext: parseBase64url(wrapped.ciphertext, 'wrapped key'),
      info,
      aad,
    });
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    const message = 'the key was made for another device, lease or use, or was altered';
    throw new HardwareError('wrapped-key-refused', message, { cause });
  }
}
