// The plain signature of one file: Ed25519 (RFC 8032) over the file's bytes, 64 raw bytes in a separate file, so that any Ed25519 library
// verifies it in one call.
import { type KeyObject, verify } from 'node:crypto';
import { CoreError } from '../../error.ts';
import { signatureAlgorithmOf, type Signer } from '../../signer.ts';
import { refused, type SignatureRefused } from './reason.ts';

const signatureLength = 64;

/** 64 bytes. Throws `key-invalid` for any key but Ed25519. */
export async function signDetached(bytes: Uint8Array, signer: Signer): Promise<Uint8Array> {
  assertEd25519(signer.publicKey);
  return signer.sign(bytes);
}

export function verifyDetached(
  bytes: Uint8Array,
  signature: Uint8Array,
  publicKey: KeyObject,
): { readonly kind: 'verified' } | SignatureRefused {
  assertEd25519(publicKey);
  if (signature.length !== signatureLength) {
    throw new CoreError(
      'signature-bundle-invalid',
      `expected ${signatureLength} signature bytes, found ${signature.length}`,
    );
  }
  if (verify(null, bytes, publicKey, signature)) return { kind: 'verified' };
  return refused('signature-invalid', 'not the signature of this key over this file');
}

function assertEd25519(key: KeyObject): void {
  const algorithm = signatureAlgorithmOf(key);
  if (algorithm !== 'ed25519') throw new CoreError('key-invalid', `expected an Ed25519 key, found ${algorithm}`);
}
