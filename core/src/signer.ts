// A signer: a key object in memory, a token or an offline card. Formats use only this interface, so no format needs private key material.
import { createPublicKey, sign, type KeyObject } from 'node:crypto';
import { CoreError } from './error.ts';
import type { MlDsaSigner } from './post-quantum/ml-dsa.ts';

export type SignatureAlgorithm = 'ecdsa-p256-sha256' | 'ecdsa-p384-sha384' | 'ecdsa-p521-sha512' | 'ed25519';

/** Signs messages under one key. ECDSA signatures are ASN.1 DER (RFC 3279); Ed25519 ones are 64 bytes (RFC 8032). */
export interface Signer {
  readonly algorithm: SignatureAlgorithm;
  readonly publicKey: KeyObject;
  /** ML-DSA-65, of a publisher who has such a key: models are signed by both (spec/model-signature.md, "Two keys"). */
  readonly postQuantum?: MlDsaSigner | undefined;
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** A signer over a private key in this process's memory. */
export function signerFromKey(privateKey: KeyObject): Signer {
  const publicKey = createPublicKey(privateKey);
  const algorithm = signatureAlgorithmOf(publicKey);
  const hash = hashOf(algorithm);
  return { algorithm, publicKey, sign: async (message) => sign(hash, message, privateKey) };
}

/** The one algorithm this product uses with a given key: the hash follows the curve. Throws `key-invalid` for any other key. */
export function signatureAlgorithmOf(key: KeyObject): SignatureAlgorithm {
  if (key.asymmetricKeyType === 'ed25519') return 'ed25519';
  if (key.asymmetricKeyType === 'ec') {
    const curve = key.asymmetricKeyDetails?.namedCurve;
    if (curve === 'prime256v1') return 'ecdsa-p256-sha256';
    if (curve === 'secp384r1') return 'ecdsa-p384-sha384';
    if (curve === 'secp521r1') return 'ecdsa-p521-sha512';
  }
  throw new CoreError('key-invalid', `expected a P-256, P-384, P-521 or Ed25519 key, found ${key.asymmetricKeyType}`);
}

/** The digest name that node:crypto needs for a key of this algorithm; null for Ed25519, which includes its hash. */
export function hashOf(algorithm: SignatureAlgorithm): 'sha256' | 'sha384' | 'sha512' | null {
  switch (algorithm) {
    case 'ecdsa-p256-sha256':
      return 'sha256';
    case 'ecdsa-p384-sha384':
      return 'sha384';
    case 'ecdsa-p521-sha512':
      return 'sha512';
    case 'ed25519':
      return null;
  }
}
