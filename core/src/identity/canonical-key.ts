// The canonical form of a public key (docs/design/canonical-keys.md): a named curve and an uncompressed point in DER; RSA with NULL
// parameters; Ed25519 without parameters. Others may write the same key in several forms; an identity uses only the canonical one.
import { ECDH } from 'node:crypto';
import { equalBytes } from '../bytes.ts';
import { DerReader, derBitString, derInteger, derNull, derOid, derSequence, derTag } from '../der.ts';
import { CoreError } from '../error.ts';
import { algorithmOid, curveOid, keyOid } from './oid.ts';
import { type PssRestriction, readPssRestriction } from './signature-algorithm.ts';

export interface ReadKey {
  /** Canonical DER SubjectPublicKeyInfo. */
  readonly canonical: Uint8Array;
  /** How the encoding differs from the canonical one; undefined when it is canonical, or not DER. */
  readonly form: string | undefined;
  /** Set when the key is marked id-RSASSA-PSS. */
  readonly pss: PssRestriction | undefined;
}

/** Reads a SubjectPublicKeyInfo by the rules for other issuers. Throws `key-invalid` for one without a canonical form. */
export function readKey(spki: Uint8Array): ReadKey {
  try {
    const outer = new DerReader(spki, 'public key', 'foreign');
    const info = outer.inside();
    outer.end();
    const algorithm = info.inside();
    const bits = info.octetsInBitString();
    info.end();
    return readByAlgorithm(algorithm.oid(), algorithm, bits);
  } catch (cause) {
    if (!(cause instanceof CoreError) || cause.code === 'key-invalid') throw cause;
    throw new CoreError('key-invalid', `a public key that is damaged: ${cause.message}`, { cause });
  }
}

function readByAlgorithm(oid: string, parameters: DerReader, bits: Uint8Array): ReadKey {
  switch (oid) {
    case keyOid.ecPublicKey:
      return readEc(parameters, bits);
    case algorithmOid.rsaEncryption:
      if (parameters.done) return rsa(bits, 'an RSA key without the NULL of its parameters');
      parameters.null();
      parameters.end();
      return rsa(bits, undefined);
    case algorithmOid.rsaOaep:
      // Some TPM makers mark the endorsement key as RSAES-OAEP (RFC 4055 section 4). It is the same key.
      return rsa(bits, 'an RSA key that is marked RSAES-OAEP');
    case algorithmOid.rsaPss:
      return { ...rsa(bits, 'an RSA key that is marked RSASSA-PSS'), pss: readPssRestriction(parameters) };
    case algorithmOid.ed25519:
      // RFC 8410 section 3: parameters must be absent.
      if (!parameters.done) throw new CoreError('key-invalid', 'an Ed25519 key with parameters: expected none');
      return { canonical: derSequence(derSequence(derOid(oid)), derBitString(bits)), form: undefined, pss: undefined };
    default:
      throw new CoreError('key-invalid', `a public key of an unknown kind (${oid})`);
  }
}

// RFC 3279 section 2.3.1.
function rsa(bits: Uint8Array, form: string | undefined): ReadKey {
  const outer = new DerReader(bits, 'RSA key', 'foreign');
  const key = outer.inside();
  outer.end();
  const modulus = key.integer();
  const exponent = key.integer();
  key.end();
  if ((modulus[0] ?? 0) >= 0x80 || (exponent[0] ?? 0) >= 0x80) {
    throw new CoreError('key-invalid', 'an RSA key with a negative number');
  }
  const canonicalBits = derSequence(derInteger(modulus), derInteger(exponent));
  const algorithm = derSequence(derOid(algorithmOid.rsaEncryption), derNull());
  return { canonical: derSequence(algorithm, derBitString(canonicalBits)), form, pss: undefined };
}

// RFC 5480 section 2.1.1: a named curve; implicit and specified curves must not be used, and some readers of them were fooled
// (CVE-2020-0601).
function readEc(parameters: DerReader, bits: Uint8Array): ReadKey {
  if (parameters.nextTag !== derTag.oid) {
    const what = parametersText(parameters);
    throw new CoreError('key-invalid', `a key with ${what}: expected the name of the curve`);
  }
  const oid = parameters.oid();
  parameters.end();
  const curve = Object.entries(curveOid).find(([, known]) => known === oid)?.[0];
  if (curve === undefined) throw new CoreError('key-invalid', `a key on the curve ${oid}`);
  const point = uncompressed(bits, curve);
  const algorithm = derSequence(derOid(keyOid.ecPublicKey), derOid(oid));
  const canonical = derSequence(algorithm, derBitString(point));
  return { canonical, form: equalBytes(point, bits) ? undefined : pointForm(bits), pss: undefined };
}

// RFC 3279 section 2.3.5: specified, or inherited from the issuer (NULL).
function parametersText({ done, nextTag }: DerReader): string {
  if (done) return 'no curve parameters';
  return nextTag === derTag.null ? 'implicit curve parameters' : 'explicit curve parameters';
}

function pointForm([first = 0]: Uint8Array): string {
  return first === 0x02 || first === 0x03 ? 'an EC key with a compressed point' : 'an EC key with a hybrid point';
}

const uncompressedLength: Readonly<Record<string, number>> = { prime256v1: 65, secp384r1: 97, secp521r1: 133 };

// SEC 1 section 2.3.4; a point that is not on the curve, and the one at infinity, have no canonical form.
function uncompressed(point: Uint8Array, curve: string): Uint8Array {
  if (point[0] === undefined || ![0x02, 0x03, 0x04, 0x06, 0x07].includes(point[0])) {
    throw new CoreError('key-invalid', 'an EC key without a point');
  }
  // Already canonical: using the key shows whether the point is on the curve.
  if (point[0] === 0x04 && point.length === uncompressedLength[curve]) return point;
  try {
    const converted = ECDH.convertKey(Buffer.from(point), curve, undefined, undefined, 'uncompressed');
    if (typeof converted === 'string') throw new CoreError('key-invalid', 'an EC key without a point');
    return Uint8Array.from(converted);
  } catch (cause) {
    throw new CoreError('key-invalid', 'an EC key whose point is not on its curve', { cause });
  }
}
