// A P-256 key derived from a secret instead of random bytes, the same each time: HKDF (RFC 5869), then FIPS 186-5 appendix A.2.1 (extra
// random bits).
import { createPrivateKey, hkdfSync, type KeyObject } from 'node:crypto';
import { utf8 } from '../bytes.ts';
import { derInteger, derOctetString, derOid, derExplicit, derSequence } from '../der.ts';
import { keyOid } from './oid.ts';

// FIPS 186-5 A.2.1 requires 64 bits more than the order has, so that the remainder is nearly uniform.
const derivedLength = 48;
const scalarLength = 32;
/** Order of the group (FIPS 186-5, SP 800-186 section 3.2.1.3). */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** `secret` is the input keying material; `info` separates the uses of one secret. */
export function deriveP256Key(secret: Uint8Array, info: string): KeyObject {
  const bits = new Uint8Array(hkdfSync('sha256', secret, new Uint8Array(0), utf8(info), derivedLength));
  const scalar = (BigInt(`0x${Buffer.from(bits).toString('hex')}`) % (order - 1n)) + 1n;
  bits.fill(0);
  const bytes = Buffer.from(scalar.toString(16).padStart(2 * scalarLength, '0'), 'hex');
  // RFC 5915; the public half is left out and computed by the library.
  const sec1 = derSequence(derInteger(1), derOctetString(bytes), derExplicit(0, derOid(keyOid.p256)));
  const key = createPrivateKey({ key: Buffer.from(sec1), format: 'der', type: 'sec1' });
  bytes.fill(0);
  sec1.fill(0);
  return key;
}
