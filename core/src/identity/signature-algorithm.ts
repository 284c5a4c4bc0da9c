// AlgorithmIdentifier of signatures (RFC 3279, 4055, 5758, 8410): which ones are accepted, and how they are verified. SHA-1 and MD5 are
// known only by name: a certificate signed with them is refused, and the reason says so.
import { constants, type KeyObject, verify } from 'node:crypto';
import { contextTag, type DerReader, derOid, derSequence, derTag } from '../der.ts';
import { CoreError } from '../error.ts';
import type { SignatureAlgorithm } from '../signer.ts';
import { algorithmOid } from './oid.ts';

type Hash = 'sha256' | 'sha384' | 'sha512';

export type SignatureScheme =
  | { readonly kind: 'ecdsa' | 'rsa'; readonly hash: Hash }
  | { readonly kind: 'rsa-pss'; readonly hash: Hash; readonly saltLength: number }
  | { readonly kind: 'ed25519' }
  /** `name` is for people: the algorithm of the signature. */
  | { readonly kind: 'unsupported'; readonly name: string };

/** A key that is marked id-RSASSA-PSS signs by that scheme only, and with the hash it names (RFC 4055 section 3.1). */
export type PssRestriction = { readonly hash: Hash; readonly saltLength: number } | 'any-hash' | 'unsupported';

export interface AlgorithmIdentifier {
  readonly scheme: SignatureScheme;
  readonly der: Uint8Array;
}

const schemes: Readonly<Record<string, SignatureScheme>> = {
  [algorithmOid.ecdsaSha256]: { kind: 'ecdsa', hash: 'sha256' },
  [algorithmOid.ecdsaSha384]: { kind: 'ecdsa', hash: 'sha384' },
  [algorithmOid.ecdsaSha512]: { kind: 'ecdsa', hash: 'sha512' },
  [algorithmOid.rsaSha256]: { kind: 'rsa', hash: 'sha256' },
  [algorithmOid.rsaSha384]: { kind: 'rsa', hash: 'sha384' },
  [algorithmOid.rsaSha512]: { kind: 'rsa', hash: 'sha512' },
  [algorithmOid.ed25519]: { kind: 'ed25519' },
};

// Known, but not accepted: too weak, or not used by any maker of what is verified here.
const refusedSchemes: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.2': 'MD2',
  '1.2.840.113549.1.1.4': 'MD5',
  '1.2.840.113549.1.1.5': 'SHA-1',
  '1.3.14.3.2.29': 'SHA-1',
  '1.2.840.10040.4.3': 'SHA-1',
  '1.2.840.10045.4.1': 'SHA-1',
  '1.2.840.113549.1.1.14': 'SHA-224',
  '1.2.840.10045.4.3.1': 'SHA-224',
};

const defaultSaltLength = 20;
// The salt of a modulus of 8192 bits is shorter.
const SALT_LENGTH_MAX = 1024;

const hashes: Readonly<Record<string, Hash>> = {
  [algorithmOid.sha256]: 'sha256',
  [algorithmOid.sha384]: 'sha384',
  [algorithmOid.sha512]: 'sha512',
};

/** Reads the next value of `reader`. An algorithm that is not accepted is a value too, so that a certificate can still be shown. */
export function readSignatureAlgorithm(reader: DerReader): AlgorithmIdentifier {
  const value = reader.value(derTag.sequence);
  const inner = reader.into(value);
  const oid = inner.oid();
  if (oid === algorithmOid.rsaPss) return { scheme: readPss(inner), der: value.whole };
  const scheme = schemes[oid];
  if (scheme === undefined) {
    const name = refusedSchemes[oid] ?? `algorithm ${oid}`;
    return { scheme: { kind: 'unsupported', name }, der: value.whole };
  }
  // RFC 4055 section 5: readers accept RSA with null parameters and without. RFC 5758 section 3.2 wants none for ECDSA; Intel's root has
  // them.
  const nullAllowed = scheme.kind === 'rsa' || (scheme.kind === 'ecdsa' && reader.rules === 'foreign');
  if (nullAllowed && !inner.done) inner.null();
  inner.end();
  return { scheme, der: value.whole };
}

// RFC 4055 section 3.1. The defaults are SHA-1 and a salt of 20; so a parameter that is left out means an algorithm that we refuse.
function readPss(reader: DerReader): SignatureScheme {
  if (reader.done) return { kind: 'unsupported', name: 'SHA-1' };
  const parameters = reader.inside();
  reader.end();
  const field = (number: number) =>
    parameters.nextTag === contextTag(number, true) ? parameters.inside(contextTag(number, true)) : undefined;
  const hashField = field(0);
  const hash = hashField === undefined ? 'SHA-1' : readHash(hashField);
  const maskField = field(1);
  const mask = maskField === undefined ? 'SHA-1' : readMask(maskField);
  const salt = field(2);
  const saltLength = salt?.smallInteger() ?? defaultSaltLength;
  salt?.end();
  // DER leaves the default out; RFC 4055 section 3.1: readers must also recognise it in full. AMD writes it.
  const trailerField = reader.rules === 'foreign' ? field(3) : undefined;
  const trailer = trailerField?.smallInteger() ?? 1;
  trailerField?.end();
  parameters.end();
  if (!isHash(hash)) return { kind: 'unsupported', name: hash };
  if (mask !== hash) return { kind: 'unsupported', name: `RSASSA-PSS with another hash in its mask (${mask})` };
  if (trailer !== 1) return { kind: 'unsupported', name: `RSASSA-PSS with the trailer field ${trailer}` };
  if (saltLength > SALT_LENGTH_MAX)
    return { kind: 'unsupported', name: `RSASSA-PSS with a salt of ${saltLength} octets` };
  return { kind: 'rsa-pss', hash, saltLength };
}

/** The parameters of a key that is marked id-RSASSA-PSS: the rest of its AlgorithmIdentifier. */
export function readPssRestriction(reader: DerReader): PssRestriction {
  if (reader.done) return 'any-hash';
  const scheme = readPss(reader);
  return scheme.kind === 'rsa-pss' ? { hash: scheme.hash, saltLength: scheme.saltLength } : 'unsupported';
}

function isHash(name: string): name is Hash {
  return name === 'sha256' || name === 'sha384' || name === 'sha512';
}

// One of ours, or a name for people.
function readHash(reader: DerReader): string {
  const algorithm = reader.inside();
  reader.end();
  const oid = algorithm.oid();
  if (!algorithm.done) algorithm.null();
  algorithm.end();
  return hashes[oid] ?? (oid === '1.3.14.3.2.26' ? 'SHA-1' : `hash ${oid}`);
}

function readMask(reader: DerReader): string {
  const algorithm = reader.inside();
  reader.end();
  const oid = algorithm.oid();
  return oid === algorithmOid.mgf1 ? readHash(algorithm) : `mask ${oid}`;
}

const oidBySigner: Readonly<Record<SignatureAlgorithm, string>> = {
  'ecdsa-p256-sha256': algorithmOid.ecdsaSha256,
  'ecdsa-p384-sha384': algorithmOid.ecdsaSha384,
  'ecdsa-p521-sha512': algorithmOid.ecdsaSha512,
  ed25519: algorithmOid.ed25519,
};

/** The AlgorithmIdentifier of the signatures of our signers. */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm): Uint8Array {
  return derSequence(derOid(oidBySigner[algorithm]));
}

/** Whether `signature` over `message` verifies under `key`. A key of another kind than the scheme's, or an unsupported scheme, is false. */
export function verifySignature(
  scheme: SignatureScheme,
  key: KeyObject,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const kind = key.asymmetricKeyType;
  switch (scheme.kind) {
    case 'ecdsa':
      return kind === 'ec' && verify(scheme.hash, message, key, signature);
    case 'rsa':
      return kind === 'rsa' && verify(scheme.hash, message, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    case 'rsa-pss': {
      const options = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: scheme.saltLength };
      return kind === 'rsa' && verify(scheme.hash, message, options, signature);
    }
    case 'ed25519':
      return kind === 'ed25519' && verify(null, message, key, signature);
    case 'unsupported':
      return false;
  }
}

/** Whether a key with this restriction may have made a signature by this scheme. */
export function pssAllows(restriction: PssRestriction | undefined, scheme: SignatureScheme): boolean {
  if (restriction === undefined) return true;
  if (scheme.kind !== 'rsa-pss' || restriction === 'unsupported') return false;
  if (restriction === 'any-hash') return true;
  return restriction.hash === scheme.hash && scheme.saltLength >= restriction.saltLength;
}

/** Why a signature by this scheme did not verify, for reasons: a scheme that is not accepted was not tried. */
export function signatureProblem(scheme: SignatureScheme): string {
  if (scheme.kind === 'unsupported') return `it is signed with ${scheme.name}, which is not accepted`;
  return `the signature (${scheme.kind}) does not verify`;
}

/** A word for reasons and logs. */
export function schemeText(scheme: SignatureScheme): string {
  return scheme.kind === 'unsupported' ? scheme.name : scheme.kind;
}

/** Throws unless both are the same, byte for byte (RFC 5280 section 4.1.1.2: the inner and the outer algorithm). */
export function assertSameAlgorithm(
  inner: Pick<AlgorithmIdentifier, 'der'>,
  outer: Pick<AlgorithmIdentifier, 'der'>,
): void {
  if (Buffer.compare(inner.der, outer.der) !== 0) {
    throw new CoreError('der-invalid', 'certificate: the signature algorithm inside differs from the one outside');
  }
}
