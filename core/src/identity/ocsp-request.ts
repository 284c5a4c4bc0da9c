// OCSP requests (RFC 6960 section 4.1, nonce by RFC 9654): the certificates that a client asks about. Read strictly, because anybody may
// send one.
import { createHash } from 'node:crypto';
import {
  contextTag,
  DerReader,
  derExplicit,
  derInteger,
  derNull,
  derOctetString,
  derOid,
  derSequence,
  derTag,
} from '../der.ts';
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import type { Certificate } from './certificate.ts';
import { encodeExtensions, readExtensions } from './extensions.ts';
import { readGeneralName } from './general-name.ts';
import { algorithmOid, ocspOid } from './oid.ts';

/** A request for one certificate has about 100 octets; with a signature and an unneeded chain, a few thousand. */
export const OCSP_REQUEST_LENGTH_MAX = 16 * 1024;
/** Clients ask about one certificate, or about the few of a chain. */
const OCSP_CERTIFICATES_MAX = 16;
// RFC 9654 section 2.1.
const NONCE_LENGTH_MAX = 128;

/** The hash that names the issuer in a certificate's identifier. Clients still send SHA-1; it only has to distinguish issuers. */
export type CertIdHash = 'sha1' | 'sha256';
const hashes: Readonly<Record<string, CertIdHash>> = { [ocspOid.sha1]: 'sha1', [algorithmOid.sha256]: 'sha256' };

export interface CertId {
  /** The identifier as received: an answer repeats it to the octet. */
  readonly der: Uint8Array;
  /** Undefined for a hash that is not known here: such a certificate is unknown. */
  readonly hash: CertIdHash | undefined;
  readonly issuerNameHash: Uint8Array;
  readonly issuerKeyHash: Uint8Array;
  /** Content octets of the serial number. */
  readonly serial: Uint8Array;
}

export interface OcspRequest {
  readonly certificates: readonly CertId[];
  /** The nonce to repeat in the answer; undefined when a cached answer is enough. */
  readonly nonce: Uint8Array | undefined;
}

/** Parses a DER request. Anything that breaks a rule, or a critical extension that is not processed, throws `ocsp-invalid`. */
export function parseOcspRequest(der: Uint8Array): OcspRequest {
  if (der.length > OCSP_REQUEST_LENGTH_MAX) throw invalid(`${der.length} bytes, at most ${OCSP_REQUEST_LENGTH_MAX}`);
  try {
    return readRequest(der);
  } catch (cause) {
    if (!(cause instanceof CoreError) || cause.code === 'ocsp-invalid') throw cause;
    throw new CoreError('ocsp-invalid', cause.message, { cause });
  }
}

function readRequest(der: Uint8Array): OcspRequest {
  const outer = new DerReader(der, 'OCSP request');
  const request = outer.inside();
  outer.end();
  const fields = request.inside();
  // RFC 6960 section 4.1.2: signing is optional, and a responder may answer anybody. We do.
  request.optional(contextTag(0, true));
  request.end();

  // Version 1 is the default, which DER leaves out; there is no other.
  if (fields.nextTag === contextTag(0, true)) throw invalid('a version that is written out');
  const requestor = fields.optional(contextTag(1, true));
  if (requestor !== undefined) {
    const name = fields.into(requestor);
    readGeneralName(name, 'OCSP requestor');
    name.end();
  }
  const certificates = readCertificates(fields.inside());
  const tail = fields.optional(contextTag(2, true));
  fields.end();
  return { certificates, nonce: tail === undefined ? undefined : readNonce(fields.into(tail)) };
}

function readCertificates(list: DerReader): readonly CertId[] {
  const certificates: CertId[] = [];
  while (!list.done) {
    if (certificates.length === OCSP_CERTIFICATES_MAX) throw invalid(`over ${OCSP_CERTIFICATES_MAX} certificates`);
    const one = list.inside();
    certificates.push(readCertId(one));
    const extensions = one.optional(contextTag(0, true));
    one.end();
    if (extensions !== undefined) readUncritical(one.into(extensions), []);
  }
  if (certificates.length === 0) throw invalid('it asks about no certificate');
  return certificates;
}

function readCertId(reader: DerReader): CertId {
  const value = reader.value(derTag.sequence);
  const fields = reader.into(value);
  const algorithm = fields.inside();
  const hash = hashes[algorithm.oid()];
  if (!algorithm.done) algorithm.null();
  algorithm.end();
  const issuerNameHash = fields.octetString();
  const issuerKeyHash = fields.octetString();
  const serial = fields.integer();
  fields.end();
  return { der: value.whole, hash, issuerNameHash, issuerKeyHash, serial };
}

function readNonce(reader: DerReader): Uint8Array | undefined {
  const nonce = readUncritical(reader, [ocspOid.nonce]).find(({ oid }) => oid === ocspOid.nonce);
  if (nonce === undefined) return undefined;
  const value = new DerReader(nonce.value, 'OCSP nonce');
  const octets = value.octetString();
  value.end();
  // RFC 9654 section 2.1: none and too many are malformed.
  if (octets.length === 0 || octets.length > NONCE_LENGTH_MAX) throw invalid(`a nonce of ${octets.length} octets`);
  return octets;
}

function readUncritical(reader: DerReader, processed: readonly string[]) {
  const { all } = readExtensions(reader, 'OCSP request');
  reader.end();
  const unknown = all.find(({ oid, critical }) => critical && !processed.includes(oid));
  if (unknown !== undefined) throw invalid(`a critical extension (${unknown.oid}) that is not processed here`);
  return all;
}

/** How requests name an issuer under one hash. */
export interface IssuerHashes {
  readonly nameHash: Uint8Array;
  readonly keyHash: Uint8Array;
}

/** RFC 6960 section 4.1.1: over the issuer's name, and over its key bits without tag, length and unused bits. */
export function issuerHashesOf(issuer: Certificate, hash: CertIdHash): IssuerHashes {
  const info = new DerReader(issuer.spki, 'issuer key').inside();
  info.inside();
  const digest = (bytes: Uint8Array) => createHash(hash).update(bytes).digest();
  return { nameHash: digest(issuer.subject.der), keyHash: digest(info.octetsInBitString()) };
}

/** Whether the identifier names a certificate of the issuer with these hashes. */
export function isIssuedBy(certificate: CertId, issuer: Readonly<Record<CertIdHash, IssuerHashes>>): boolean {
  if (certificate.hash === undefined) return false;
  const { nameHash, keyHash } = issuer[certificate.hash];
  return equalBytes(certificate.issuerNameHash, nameHash) && equalBytes(certificate.issuerKeyHash, keyHash);
}

/** DER of a certificate's identifier. */
export function encodeCertId(hash: CertIdHash, issuer: IssuerHashes, serial: Uint8Array): Uint8Array {
  const oid = hash === 'sha1' ? ocspOid.sha1 : algorithmOid.sha256;
  const algorithm = derSequence(derOid(oid), derNull());
  return derSequence(algorithm, derOctetString(issuer.nameHash), derOctetString(issuer.keyHash), derInteger(serial));
}

/** DER of a request about certificates by their identifiers' DER. */
export function encodeOcspRequest(certIds: readonly Uint8Array[], nonce?: Uint8Array): Uint8Array {
  const list = derSequence(...certIds.map((certId) => derSequence(certId)));
  const extensions = nonce === undefined ? [] : [derExplicit(2, encodeExtensions([nonceExtension(nonce)]))];
  return derSequence(derSequence(list, ...extensions));
}

export function nonceExtension(nonce: Uint8Array) {
  return { oid: ocspOid.nonce, critical: false, value: derOctetString(nonce) } as const;
}

function invalid(problem: string): CoreError {
  return new CoreError('ocsp-invalid', `OCSP request: ${problem}`);
}
