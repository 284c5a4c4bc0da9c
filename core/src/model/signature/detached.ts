// The plain signature of one file, alone in a second file (spec/model-signature.md, "Detached signature"). Ed25519 (RFC 8032), 64 bytes, which
// any Ed25519 library verifies in one call; or ECDSA with SHA-256 in DER, as `openssl dgst -sha256 -sign` writes it.
import { type KeyObject, sign, verify } from 'node:crypto';
import { CoreError } from '../../error.ts';
import { signatureAlgorithmOf } from '../../signer.ts';
import { refused, type SignatureRefused } from './reason.ts';

const ed25519Length = 64;
/** Two integers of 66 bytes (P-521) in a sequence. */
const DER_LENGTH_MAX = 139;
const sequenceTag = 0x30;

/** Throws `key-invalid` for any key but Ed25519, P-256, P-384 and P-521. */
export function signDetached(bytes: Uint8Array, privateKey: KeyObject): Uint8Array {
  return sign(digestOf(privateKey), bytes, privateKey);
}

export function verifyDetached(
  bytes: Uint8Array,
  signature: Uint8Array,
  publicKey: KeyObject,
): { readonly kind: 'verified' } | SignatureRefused {
  const digest = digestOf(publicKey);
  assertForm(signature, digest);
  if (verify(digest, bytes, publicKey, signature)) return { kind: 'verified' };
  return refused('signature-invalid', 'not the signature of this key over this file');
}

// Not the digest that follows the curve, as elsewhere: the command line of openssl names it, and every published one names SHA-256.
function digestOf(key: KeyObject): 'sha256' | null {
  return signatureAlgorithmOf(key) === 'ed25519' ? null : 'sha256';
}

function assertForm(signature: Uint8Array, digest: 'sha256' | null): void {
  const { length } = signature;
  if (digest === null && length === ed25519Length) return;
  if (digest !== null && signature[0] === sequenceTag && length <= DER_LENGTH_MAX) return;
  const expected =
    digest === null ? `${ed25519Length} bytes, as Ed25519 has them` : `ECDSA in DER, at most ${DER_LENGTH_MAX} bytes`;
  throw new CoreError('signature-bundle-invalid', `expected a signature of ${expected}, found ${length} bytes`);
}
