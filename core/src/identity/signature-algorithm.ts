// AlgorithmIdentifier of signatures (RFC 3279, 4055, 5758, 8410): which ones are believed, and how they are verified.
// SHA-1 and MD5 are unknown here: a certificate signed with them is refused.
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
  | { readonly kind: 'unsupported'; readonly oid: string };

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

const hashes: Readonly<Record<string, Hash>> = {
  [algorithmOid.sha256]: 'sha256',
  [algorithmOid.sha384]: 'sha384',
  [algorithmOid.sha512]: 'sha512',
};

/** Reads the next value of `reader`. An algorithm we do not believe is a value, so that a certificate can still be shown. */
export function readSignatureAlgorithm(reader: DerReader): AlgorithmIdentifier {
  const value = reader.value(derTag.sequence);
  const inner = reader.into(value);
  const oid = inner.oid();
  if (oid === algorithmOid.rsaPss) return { scheme: readPss(inner), der: value.whole };
  const scheme = schemes[oid];
  if (scheme === undefined) return { scheme: { kind: 'unsupported', oid }, der: value.whole };
  // RFC 4055 section 5: null parameters beside RSA, and absent ones are to be accepted; the others have none.
  if (scheme.kind === 'rsa' && !inner.done) inner.null();
  inner.end();
  return { scheme, der: value.whole };
}

// RFC 4055 section 3.1. The defaults are SHA-1 and a salt of 20; so a parameter that is left out means an algorithm we refuse.
function readPss(reader: DerReader): SignatureScheme {
  const unsupported: SignatureScheme = { kind: 'unsupported', oid: algorithmOid.rsaPss };
  if (reader.done) return unsupported;
  const parameters = reader.inside();
  reader.end();
  const hash =
    parameters.nextTag === contextTag(0, true) ? readHash(parameters.inside(contextTag(0, true))) : undefined;
  const mask =
    parameters.nextTag === contextTag(1, true) ? readMask(parameters.inside(contextTag(1, true))) : undefined;
  const salt = parameters.nextTag === contextTag(2, true) ? parameters.inside(contextTag(2, true)) : undefined;
  const saltLength = salt?.smallInteger() ?? 20;
  salt?.end();
  parameters.end();
  return hash === undefined || mask !== hash || saltLength > 64 ? unsupported : { kind: 'rsa-pss', hash, saltLength };
}

function readHash(reader: DerReader): Hash | undefined {
  const algorithm = reader.inside();
  reader.end();
  const hash = hashes[algorithm.oid()];
  if (!algorithm.done) algorithm.null();
  algorithm.end();
  return hash;
}

function readMask(reader: DerReader): Hash | undefined {
  const algorithm = reader.inside();
  reader.end();
  return algorithm.oid() === algorithmOid.mgf1 ? readHash(algorithm) : undefined;
}

const oidBySigner: Readonly<Record<SignatureAlgorithm, string>> = {
  'ecdsa-p256-sha256': algorithmOid.ecdsaSha256,
  'ecdsa-p384-sha384': algorithmOid.ecdsaSha384,
  'ecdsa-p521-sha512': algorithmOid.ecdsaSha512,
  ed25519: algorithmOid.ed25519,
};

/** The AlgorithmIdentifier of what a signer of ours makes. */
export function encodeSignatureAlgorithm(algorithm: SignatureAlgorithm): Uint8Array {
  return derSequence(derOid(oidBySigner[algorithm]));
}

/** Whether `signature` over `message` verifies under `key`. A key of another kind than the scheme's, or an unsupported scheme, is a plain no. */
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

/** A word for reasons and logs. */
export function schemeText(scheme: SignatureScheme): string {
  return scheme.kind === 'unsupported' ? `algorithm ${scheme.oid}` : scheme.kind;
}

/** Throws unless both are the same, byte for byte (RFC 5280 section 4.1.1.2: the inner and the outer algorithm). */
export function assertSameAlgorithm(inner: AlgorithmIdentifier, outer: AlgorithmIdentifier): void {
  if (Buffer.compare(inner.der, outer.der) !== 0) {
    throw new CoreError('der-invalid', 'certificate: the signature algorithm inside differs from the one outside');
  }
}
