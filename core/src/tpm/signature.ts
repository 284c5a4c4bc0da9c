// Signatures as a TPM writes them (TPM 2.0 Part 2, 11.3.4 TPMT_SIGNATURE) and their verification.
import { constants, type KeyObject, verify } from 'node:crypto';
import { ByteReader, ByteWriter, concat } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { algorithmIds, hashId, readHash, type TpmHash, unsupported } from './algorithm.ts';
import { ecdsaRawToDer } from '../jws.ts';
import { padLeft } from './public-area.ts';

export type TpmSignature =
  | { readonly kind: 'ecdsa'; readonly hash: TpmHash; readonly r: Uint8Array; readonly s: Uint8Array }
  | { readonly kind: 'rsassa' | 'rsapss'; readonly hash: TpmHash; readonly signature: Uint8Array };

/** The largest field: P-521 has 66 bytes. */
const COORDINATE_BYTES_MAX = 66;
/** RSA-4096. */
const RSA_BYTES_MAX = 512;

/** Field size in bytes by the curve names of node:crypto. */
const fieldSizes: Readonly<Record<string, number>> = { prime256v1: 32, secp384r1: 48, secp521r1: 66 };
/** Up to P-384 a signature fits the DER form of one-octet lengths that `ecdsaRawToDer` writes. */
const fieldSizeOfShortDer = 48;

/** Reads a TPMT_SIGNATURE of ECDSA, RSASSA or RSAPSS; any other scheme, empty numbers or trailing bytes throw. */
export function parseTpmSignature(bytes: Uint8Array): TpmSignature {
  const reader = new ByteReader(bytes, 'signature');
  const signature = readTpmSignature(reader);
  reader.end();
  return signature;
}

/** As `parseTpmSignature`, inside another structure. */
export function readTpmSignature(reader: ByteReader): TpmSignature {
  const scheme = reader.u16();
  switch (scheme) {
    case algorithmIds.ecdsa: {
      const hash = readHash(reader, 'signature');
      const r = readNumber(reader, COORDINATE_BYTES_MAX);
      return { kind: 'ecdsa', hash, r, s: readNumber(reader, COORDINATE_BYTES_MAX) };
    }
    case algorithmIds.rsassa:
    case algorithmIds.rsapss: {
      const kind = scheme === algorithmIds.rsassa ? 'rsassa' : 'rsapss';
      return { kind, hash: readHash(reader, 'signature'), signature: readNumber(reader, RSA_BYTES_MAX) };
    }
    default:
      throw unsupported('signature', 'ECDSA, RSASSA or RSAPSS', scheme);
  }
}

function readNumber(reader: ByteReader, maxLength: number): Uint8Array {
  const number = reader.sized16(maxLength);
  if (number.length === 0) throw new CoreError('tpm-structure-invalid', 'signature: an empty number');
  return number;
}

export function encodeTpmSignature(signature: TpmSignature): Uint8Array {
  const writer = new ByteWriter().u16(algorithmIds[signature.kind]).u16(hashId(signature.hash));
  switch (signature.kind) {
    case 'ecdsa':
      return writer.sized16(signature.r).sized16(signature.s).finish();
    case 'rsassa':
    case 'rsapss':
      return writer.sized16(signature.signature).finish();
  }
}

/** Why `verifyTpmSignature` does not try; undefined when it does. For reasons that an operator can act on. */
export function untriedReason(signature: TpmSignature, key: KeyObject): string | undefined {
  const { kind, hash } = signature;
  if (hash === 'sha1') return 'it is signed with SHA-1, which is not accepted';
  const wanted = kind === 'ecdsa' ? 'ec' : 'rsa';
  if (key.asymmetricKeyType !== wanted)
    return `it is ${kind.toUpperCase()}, and the key is of type ${key.asymmetricKeyType}`;
  if (kind !== 'ecdsa') return undefined;
  const curve = key.asymmetricKeyDetails?.namedCurve ?? 'without a name';
  const size = fieldSizes[curve];
  if (size === undefined) return `the curve ${curve} is not accepted; expected P-256, P-384 or P-521`;
  if (signature.r.length > size || signature.s.length > size)
    return `its numbers are longer than the curve's ${size} bytes`;
  return undefined;
}

/**
 * True when `signature` over `message` verifies under `key`. A key of another type and a SHA-1 signature (collisions can be made) are
 * false.
 */
export function verifyTpmSignature(signature: TpmSignature, message: Uint8Array, key: KeyObject): boolean {
  if (signature.hash === 'sha1') return false;
  switch (signature.kind) {
    case 'ecdsa': {
      const size = fieldSizes[key.asymmetricKeyDetails?.namedCurve ?? ''];
      if (key.asymmetricKeyType !== 'ec' || size === undefined) return false;
      if (signature.r.length > size || signature.s.length > size) return false;
      const raw = concat(padLeft(signature.r, size), padLeft(signature.s, size));
      // As DER where it has a short form, because node:crypto takes a bare key object in half the time of one with options.
      if (size <= fieldSizeOfShortDer) return verify(signature.hash, message, key, ecdsaRawToDer(raw));
      return verify(signature.hash, message, { key, dsaEncoding: 'ieee-p1363' }, raw);
    }
    case 'rsassa':
      return key.asymmetricKeyType === 'rsa' && verify(signature.hash, message, key, signature.signature);
    case 'rsapss': {
      if (key.asymmetricKeyType !== 'rsa') return false;
      // A TPM salts with the digest size or with all the available space (Part 1, B.7): the length is read from the signature.
      const { RSA_PKCS1_PSS_PADDING: padding, RSA_PSS_SALTLEN_AUTO: saltLength } = constants;
      return verify(signature.hash, message, { key, padding, saltLength }, signature.signature);
    }
  }
}
