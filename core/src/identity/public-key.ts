// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): the key a certificate or a request is about.
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { DerReader, derBitString, derNull, derOid, derSequence, derTag } from '../der.ts';
import { CoreError } from '../error.ts';
import { algorithmOid } from './oid.ts';

// RSA under 2048 bits is broken or nearly so; over 8192 a verification is a way to burn our processor.
const rsaBitsMin = 2048;
const rsaBitsMax = 8192;
const curves: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1'];

/** Reads the next value of `reader` as a SubjectPublicKeyInfo and gives its bytes; the key itself is read when it is needed. */
export function readSpki(reader: DerReader): Uint8Array {
  const value = reader.value(derTag.sequence);
  const inner = reader.into(value);
  inner.value(derTag.sequence);
  inner.bitString();
  inner.end();
  return value.whole;
}

/** The key in a SubjectPublicKeyInfo: P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits; anything else throws `key-invalid`. */
export function parseSpki(spki: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(withoutOaep(spki)), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new CoreError('key-invalid', 'a public key that is damaged or of an unknown kind', { cause });
  }
  const { modulusLength = 0, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return key;
    case 'ec':
      if (curves.includes(namedCurve)) return key;
      throw new CoreError('key-invalid', `a key on the curve ${namedCurve || 'of its own'}`);
    case 'rsa':
      if (modulusLength >= rsaBitsMin && modulusLength <= rsaBitsMax) return key;
      throw new CoreError(
        'key-invalid',
        `an RSA key of ${modulusLength} bits, expected ${rsaBitsMin} to ${rsaBitsMax}`,
      );
    default:
      throw new CoreError('key-invalid', `a key of kind ${key.asymmetricKeyType}`);
  }
}

// Some TPM makers mark the RSA endorsement key as RSAES-OAEP (RFC 4055 section 4). It is the same key; OpenSSL reads it only unmarked.
function withoutOaep(spki: Uint8Array): Uint8Array {
  const info = new DerReader(spki, 'public key').inside();
  if (info.inside().oid() !== algorithmOid.rsaOaep) return spki;
  return derSequence(
    derSequence(derOid(algorithmOid.rsaEncryption), derNull()),
    derBitString(info.octetsInBitString()),
  );
}

/** DER SubjectPublicKeyInfo of a key. */
export function encodeSpki(publicKey: KeyObject): Uint8Array {
  return publicKey.export({ format: 'der', type: 'spki' });
}

/** Key identifier: the leftmost 160 bits of the SHA-256 of the key bits (RFC 7093 section 2, method 1). */
export function keyIdentifierOf(spki: Uint8Array): Uint8Array {
  const info = new DerReader(spki, 'public key').inside();
  info.inside();
  return createHash('sha256').update(info.octetsInBitString()).digest().subarray(0, 20);
}
