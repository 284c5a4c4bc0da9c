// Opens a wrapped model key with a private key that stays in its token (RFC 9180 section 4.1): the token does the key agreement; the key
// schedule and the decryption happen here. Format: spec/secure-element.md.
import type { KeyObject } from 'node:crypto';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import { parseBase64url } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { hpkeOpenWithSharedSecret } from '@edgekeep/core/identity/hpke';
import { parseP256Point } from '@edgekeep/core/identity/p256-point';
import { HardwareError } from '../error.ts';
import type { OpenKeyOptions } from '../root-of-trust.ts';
import { hpkeContextOf } from '../wrapped-key-context.ts';

export interface AgreementKey {
  readonly publicKey: KeyObject;
  /** The x-coordinate of the shared point, 32 bytes; it is overwritten with zeros. */
  readonly agree: (publicKey: KeyObject) => Promise<Uint8Array>;
}

/**
 * The key inside `wrapped`; the caller zeroes it. Throws `wrapped-key-unsupported` for a key of another kind or without its use, and
 * `wrapped-key-refused` for one that was made for another device or use, or altered.
 */
export async function openWrappedKey(
  key: WrappedKey,
  options: OpenKeyOptions,
  { publicKey, agree }: AgreementKey,
): Promise<Uint8Array> {
  const { wrapped, info, aad } = hpkeContextOf(key, options, 'a secure element');
  try {
    const encapsulatedKey = parseBase64url(wrapped.encapsulatedKey, 'encapsulated key');
    const ciphertext = parseBase64url(wrapped.ciphertext, 'wrapped key');
    // Before the token sees it: a chip that does not check the point would leak its key bit by bit.
    const sharedSecret = await agree(parseP256Point(encapsulatedKey));
    return hpkeOpenWithSharedSecret({
      recipientPublicKey: publicKey,
      sharedSecret,
      encapsulatedKey,
      ciphertext,
      info,
      aad,
    });
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    const message = 'the key was made for another device, lease or use, or was altered';
    throw new HardwareError('wrapped-key-refused', message, { cause });
  }
}
