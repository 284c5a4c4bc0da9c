// A publisher's key: P-256, P-384 or P-521, and with it a key of ML-DSA-65 where the publisher has one. As text: one PEM block, or two. What a
// reader was given says whether there must be a second signature; what a bundle carries does not.
import { createPublicKey, type KeyObject } from 'node:crypto';
import { CoreError } from '../../error.ts';
import { encodePem, parsePem } from '../../identity/pem.ts';
import { canonicalKey, encodePublicKeyPem, parseSpki } from '../../identity/public-key.ts';
import { mlDsaKeyOfSpki } from '../../post-quantum/ml-dsa.ts';

export interface PublisherKey {
  readonly publicKey: KeyObject;
  /** ML-DSA-65; where there is one, both must have signed. */
  readonly postQuantum?: KeyObject | undefined;
}

/** Reads one or two blocks `PUBLIC KEY`: the classical key, then the one of ML-DSA-65. Throws `key-invalid`. */
export function parsePublisherKey(pem: string): PublisherKey {
  const [first, second, ...more] = parsePem(pem, 'PUBLIC KEY');
  if (first === undefined || more.length > 0)
    throw new CoreError(
      'key-invalid',
      'expected one public key in PEM, or two: one of ML-DSA-65 after the classical one',
    );
  const publicKey = parseSpki(first);
  return second === undefined ? { publicKey } : { publicKey, postQuantum: mlDsaKeyOfSpki('ml-dsa-65', second) };
}

/** The same from a file that the reader's own operator chose, where the classical key may be in another form. */
export function readPublisherKeyPem(pem: string): PublisherKey {
  const [, second, ...more] = parsePem(pem, 'PUBLIC KEY');
  if (more.length > 0) throw new CoreError('key-invalid', 'expected one public key in PEM, or two');
  const publicKey = canonicalKey(createPublicKey(pem));
  return second === undefined ? { publicKey } : { publicKey, postQuantum: mlDsaKeyOfSpki('ml-dsa-65', second) };
}

/** As `parsePublisherKey` reads it. */
export function encodePublisherKey({ publicKey, postQuantum }: PublisherKey): string {
  const own = encodePublicKeyPem(publicKey);
  return postQuantum === undefined ? own : `${own}${encodePem('PUBLIC KEY', spkiOf(postQuantum))}`;
}

function spkiOf(key: KeyObject): Uint8Array {
  return key.export({ format: 'der', type: 'spki' });
}

/** A key that was given alone, or with its second one. */
export function asPublisherKey(key: KeyObject | PublisherKey): PublisherKey {
  return 'publicKey' in key ? key : { publicKey: key };
}
