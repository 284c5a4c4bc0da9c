// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7): the key of a certificate or a request. One key has several encodings; comparing,
// counting, blocking and identities use the canonical one (docs/design/canonical-keys.md), which canonical-key.ts makes.
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { equalBytes } from '../bytes.ts';
import { DerReader, derTag } from '../der.ts';
import { CoreError } from '../error.ts';
import { readKey } from './canonical-key.ts';
import { encodePem, parsePem } from './pem.ts';

// RSA under 2048 bits is broken or nearly so; over 8192 bits a verification wastes our processor.
const RSA_BITS_MIN = 2048;
const RSA_BITS_MAX = 8192;
// OpenSSL's bound: a longer exponent makes each verification as slow as a signature.
const RSA_EXPONENT_MAX = 1n << 64n;
const curves: readonly string[] = ['prime256v1', 'secp384r1', 'secp521r1'];

/** Reads the next value of `reader` as a SubjectPublicKeyInfo and returns its bytes; the key itself is read when it is needed. */
export function readSpki(reader: DerReader): Uint8Array {
  const value = reader.value(derTag.sequence);
  const inner = reader.into(value);
  inner.value(derTag.sequence);
  inner.bitString();
  inner.end();
  return value.whole;
}

/**
 * The key in a SubjectPublicKeyInfo: P-256, P-384, P-521, Ed25519, or RSA of 2048 to 8192 bits, in its canonical form. Anything else throws
 * `key-invalid`, and another form of such a key too; the message names the form.
 */
export function parseSpki(spki: Uint8Array): KeyObject {
  const { canonical, form } = readKey(spki);
  if (!equalBytes(canonical, spki)) {
    throw new CoreError('key-invalid', `${form ?? 'a public key that is not in DER'}: expected ${canonicalForms}`);
  }
  return keyOf(canonical);
}

const canonicalForms =
  'the canonical form of a key (a named curve and an uncompressed point; RSA with NULL parameters; Ed25519 without parameters)';

/**
 * The canonical SubjectPublicKeyInfo of the same key; throws `key-invalid` for one that cannot be read, or has its own curve parameters.
 */
export function canonicalSpki(spki: Uint8Array): Uint8Array {
  return readKey(spki).canonical;
}

function keyOf(canonical: Uint8Array): KeyObject {
  let key: KeyObject;
  try {
    key = createPublicKey({ key: Buffer.from(canonical), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new CoreError('key-invalid', 'a public key that is damaged or of an unknown kind', { cause });
  }
  assertAccepted(key);
  return key;
}

/** Throws `key-invalid` unless the kind and strength of the key are used here. */
function assertAccepted(key: KeyObject): void {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = '' } = key.asymmetricKeyDetails ?? {};
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return;
    case 'ec':
      if (curves.includes(namedCurve)) return;
      throw new CoreError('key-invalid', `a key on the curve ${namedCurve || 'of its own'}`);
    case 'rsa':
      if (modulusLength < RSA_BITS_MIN || modulusLength > RSA_BITS_MAX) {
        const expected = `expected ${RSA_BITS_MIN} to ${RSA_BITS_MAX}`;
        throw new CoreError('key-invalid', `an RSA key of ${modulusLength} bits, ${expected}`);
      }
      if (publicExponent < 3n || publicExponent % 2n === 0n || publicExponent >= RSA_EXPONENT_MAX) {
        throw new CoreError('key-invalid', 'an RSA key whose exponent is 1, even, or over 64 bits');
      }
      return;
    default:
      throw new CoreError('key-invalid', `a key of kind ${key.asymmetricKeyType}`);
  }
}

/** Canonical DER SubjectPublicKeyInfo of a key, even if it was imported in another form. */
export function encodeSpki(publicKey: KeyObject): Uint8Array {
  const der = publicKey.export({ format: 'der', type: 'spki' });
  const several = publicKey.asymmetricKeyType === 'ec' || publicKey.asymmetricKeyType === 'rsa-pss';
  return several ? canonicalSpki(der) : der;
}

/** The same in PEM, as `openssl pkey -pubout` writes it: the input of publishers' fingerprints. */
export function encodePublicKeyPem(publicKey: KeyObject): string {
  return encodePem('PUBLIC KEY', encodeSpki(publicKey));
}

/** The same key, written and compared in its canonical form; for keys in files that the reader's own operator chose. */
export function canonicalKey(publicKey: KeyObject): KeyObject {
  return createPublicKey({ key: Buffer.from(encodeSpki(publicKey)), format: 'der', type: 'spki' });
}

/**
 * A key in PEM as people pass it on (`PUBLIC KEY`), in its canonical form; another form throws `key-invalid` and the message names the
 * form.
 */
export function parsePublicKeyPem(pem: string): KeyObject {
  return parseSpki(spkiInPem(pem));
}

function spkiInPem(pem: string): Uint8Array {
  const [block, ...more] = parsePem(pem, 'PUBLIC KEY');
  if (block === undefined || more.length > 0) throw new CoreError('key-invalid', 'expected one public key in PEM');
  return block;
}

/** Key identifier: the leftmost 160 bits of the SHA-256 of the key bits (RFC 7093 section 2, method 1). */
export function keyIdentifierOf(spki: Uint8Array): Uint8Array {
  const info = new DerReader(spki, 'public key').inside();
  info.inside();
  return createHash('sha256').update(info.octetsInBitString()).digest().subarray(0, 20);
}
