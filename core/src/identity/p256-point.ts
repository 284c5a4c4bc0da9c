// P-256 public keys as uncompressed points (SEC 1 section 2.3.3), the form that HPKE transmits. node:crypto reads only SPKI, so the point
// is preceded by the fixed SPKI header of that curve (RFC 5480).
import { createPublicKey, type KeyObject } from 'node:crypto';
import { concat, parseHex } from '../bytes.ts';
import { CoreError } from '../error.ts';

export const p256PointLength = 65;

const spkiHeader = parseHex('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'P-256 SPKI header');

/** Reads a 65-byte uncompressed point; a point that is not on the curve, or of another form, throws `key-invalid`. */
export function parseP256Point(bytes: Uint8Array): KeyObject {
  if (bytes.length !== p256PointLength || bytes[0] !== 0x04) {
    throw new CoreError('key-invalid', `expected an uncompressed P-256 point of ${p256PointLength} bytes`);
  }
  try {
    return createPublicKey({ key: Buffer.from(concat(spkiHeader, bytes)), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new CoreError('key-invalid', 'the bytes are not a point of P-256', { cause });
  }
}

/** The uncompressed point of a P-256 public key; any other key throws `key-invalid`. */
export function encodeP256Point(publicKey: KeyObject): Uint8Array {
  assertP256(publicKey);
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const point = spki.subarray(spki.length - p256PointLength);
  // A key that was imported in compressed form is exported in compressed form: it has no point of this length.
  if (spki.length !== spkiHeader.length + p256PointLength || point[0] !== 0x04) {
    throw new CoreError('key-invalid', 'expected a P-256 key in uncompressed form');
  }
  return point;
}

/** Refuses every key that is not on P-256. */
export function assertP256(key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ec' || key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') {
    throw new CoreError('key-invalid', `expected a P-256 key, found ${key.asymmetricKeyType ?? key.type}`);
  }
}
