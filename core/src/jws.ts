// Compact JWS (RFC 7515) with exactly two algorithms, ES256 (RFC 7518) and EdDSA over Ed25519 (RFC 8037). The verifier's key fixes the
// algorithm, never the token; `none`, `crit` and header parameters that this product does not write are refused.
import { type KeyObject, verify } from 'node:crypto';
import { z } from 'zod';
import { concat, parseBase64url, toBase64url, utf8 } from './bytes.ts';
import { CoreError } from './error.ts';
import { encodeCanonicalJson, parseCanonicalJson } from './json.ts';
import { hashOf, signatureAlgorithmOf, type Signer } from './signer.ts';

export type JwsAlgorithm = 'ES256' | 'EdDSA';
const P256_SIZE = 32;

const headerSchema = z.strictObject({
  alg: z.enum(['ES256', 'EdDSA']),
  kid: z.string().min(1).max(128),
  typ: z.string().min(1).max(64),
});

export interface JwsHeader {
  readonly alg: JwsAlgorithm;
  /** Names the key; for looking it up, never a proof. */
  readonly kid: string;
  /** The media type without `application/`: prevents using a token of one kind as another (RFC 8725 section 3.11). */
  readonly typ: string;
}

export interface ParsedJws {
  readonly header: JwsHeader;
  /** Not verified yet: only for choosing the key by `header.kid`; use `verifyJws` for the rest. */
  readonly payload: Uint8Array;
  readonly signature: Uint8Array;
  readonly signedBytes: Uint8Array;
}

/** Signs `payload`. Throws `key-invalid` for a signer that is neither P-256 nor Ed25519. */
export async function signJws(payload: Uint8Array, signer: Signer, header: Omit<JwsHeader, 'alg'>): Promise<string> {
  const alg = jwsAlgorithmOf(signer.publicKey);
  const encodedHeader = toBase64url(encodeCanonicalJson({ alg, kid: header.kid, typ: header.typ }));
  const signed = `${encodedHeader}.${toBase64url(payload)}`;
  const signature = await signer.sign(utf8(signed));
  return `${signed}.${toBase64url(alg === 'ES256' ? ecdsaDerToRaw(signature, P256_SIZE) : signature)}`;
}

/** Splits and decodes a token; throws `token-invalid` for anything that is not one canonical compact JWS of at most `maxBytes` bytes. */
export function parseJws(token: string, maxBytes: number): ParsedJws {
  if (token.length > maxBytes) throw invalid(`${token.length} bytes, at most ${maxBytes} are allowed`);
  const parts = token.split('.');
  const [header, payload, signature] = parts;
  if (parts.length !== 3 || header === undefined || payload === undefined || signature === undefined) {
    throw invalid(`expected three parts between dots, found ${parts.length}`);
  }
  return {
    header: parseCanonicalJson(parseBase64url(header, 'token header'), headerSchema, 'token header', 'token-invalid'),
    payload: parseBase64url(payload, 'token payload'),
    signature: parseBase64url(signature, 'token signature'),
    signedBytes: utf8(`${header}.${payload}`),
  };
}

export type JwsVerdict =
  | { readonly kind: 'verified'; readonly header: JwsHeader; readonly payload: Uint8Array }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Verifies a token of type `typ` under `key`, whose type alone decides the algorithm. Broken tokens throw as `parseJws` does. */
export function verifyJws(
  token: string,
  key: KeyObject,
  { typ, maxBytes }: { typ: string; maxBytes: number },
): JwsVerdict {
  const { header, payload, signature, signedBytes } = parseJws(token, maxBytes);
  const alg = jwsAlgorithmOf(key);
  const reasons: string[] = [];
  if (header.typ !== typ) reasons.push(`the token is a ${header.typ}, expected ${typ}`);
  if (header.alg !== alg) reasons.push(`the token says ${header.alg}, the key is for ${alg}`);
  const hash = hashOf(signatureAlgorithmOf(key));
  if (reasons.length === 0 && !verify(hash, signedBytes, { key, dsaEncoding: 'ieee-p1363' }, signature)) {
    reasons.push('the signature does not verify');
  }
  return reasons.length === 0 ? { kind: 'verified', header, payload } : { kind: 'refused', reasons };
}

/** The one JWS algorithm for a key; throws `key-invalid` for other keys. */
function jwsAlgorithmOf(key: KeyObject): JwsAlgorithm {
  const algorithm = signatureAlgorithmOf(key);
  if (algorithm === 'ecdsa-p256-sha256') return 'ES256';
  if (algorithm === 'ed25519') return 'EdDSA';
  throw new CoreError('key-invalid', `tokens are signed with P-256 or Ed25519, found a key for ${algorithm}`);
}

/** Ecdsa-Sig-Value in DER to r || s, each of `size` bytes. Throws `der-invalid`. */
export function ecdsaDerToRaw(der: Uint8Array, size: number): Uint8Array {
  // SEQUENCE { INTEGER r, INTEGER s }; up to P-256 every length fits one octet.
  if (der[0] !== 0x30 || der[1] !== der.length - 2 || der.length > 0x81) throw invalidDer('not one short SEQUENCE');
  const r = readInteger(der, 2, size);
  const s = readInteger(der, r.end, size);
  if (s.end !== der.length) throw invalidDer('bytes after its end');
  return concat(r.value, s.value);
}

function readInteger(
  der: Uint8Array,
  offset: number,
  size: number,
): { readonly value: Uint8Array; readonly end: number } {
  const length = der[offset + 1];
  if (der[offset] !== 0x02 || length === undefined || length === 0) throw invalidDer('no INTEGER');
  const start = offset + 2;
  const octets = der.subarray(start, start + length);
  const [first, second] = octets;
  if (octets.length !== length || first === undefined || first >= 0x80)
    throw invalidDer('an INTEGER cut short or negative');
  if (first === 0 && (second ?? 0) < 0x80 && length > 1) throw invalidDer('an INTEGER with a needless zero');
  const digits = first === 0 ? octets.subarray(1) : octets;
  if (digits.length > size) throw invalidDer(`an INTEGER of more than ${size} bytes`);
  const value = new Uint8Array(size);
  value.set(digits, size - digits.length);
  return { value, end: start + length };
}

/** r || s to Ecdsa-Sig-Value in DER. `raw` has an even length of at most 120 bytes. Throws `der-invalid`. */
export function ecdsaRawToDer(raw: Uint8Array): Uint8Array {
  if (raw.length === 0 || raw.length % 2 !== 0 || raw.length > 120) throw invalidDer(`r || s of ${raw.length} bytes`);
  const half = raw.length / 2;
  const body = concat(encodeInteger(raw.subarray(0, half)), encodeInteger(raw.subarray(half)));
  return concat(Uint8Array.of(0x30, body.length), body);
}

function encodeInteger(value: Uint8Array): Uint8Array {
  const first = value.findIndex((byte) => byte !== 0);
  const digits = first === -1 ? Uint8Array.of(0) : value.subarray(first);
  const sign = (digits[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array();
  return concat(Uint8Array.of(0x02, sign.length + digits.length), sign, digits);
}

function invalid(problem: string): CoreError {
  return new CoreError('token-invalid', `token: ${problem}`);
}

function invalidDer(problem: string): CoreError {
  return new CoreError('der-invalid', `ECDSA signature: ${problem}`);
}
