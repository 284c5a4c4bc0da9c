// Opens a wrapped model key with a private key in this process's memory: RFC 9180, as spec/access.md requires.
import type { KeyObject } from 'node:crypto';
import { type WrappedKey, wrappedKeyHpkeInfo } from '@edgekeep/core/access/wrapped-key';
import { parseBase64url, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { hpkeOpen } from '@edgekeep/core/identity/hpke';
import { HardwareError } from '../error.ts';

/**
 * The key inside `wrapped`; the caller zeroes it. Throws `wrapped-key-unsupported` for a key of another kind or without its lease, and
 * `wrapped-key-refused` for one that was made for another device or lease, or altered.
 */
export function openWithPrivateKey(
  wrapped: WrappedKey,
  leaseId: string | undefined,
  recipientPrivateKey: KeyObject,
): Uint8Array {
  if (wrapped.kind !== 'hpke' || leaseId === undefined) {
    throw new HardwareError('wrapped-key-unsupported', 'software opens HPKE keys of a named lease, not import blobs');
  }
  try {
    return hpkeOpen({
      recipientPrivateKey,
      encapsulatedKey: parseBase64url(wrapped.encapsulatedKey, 'encapsulated key'),
      ciphertext: parseBase64url(wrapped.ciphertext, 'wrapped key'),
      info: utf8(wrappedKeyHpkeInfo),
      aad: utf8(leaseId),
    });
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    const message = 'the key was made for another device or lease, or was altered';
    throw new HardwareError('wrapped-key-refused', message, { cause });
  }
}
