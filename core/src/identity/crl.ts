// Certificate revocation lists (RFC 5280 section 5): version 2, complete, direct, of one issuer. Delta lists, lists of other scopes and
// indirect ones are marked by critical extensions, and a list with any critical extension is refused.
import {
  contextTag,
  DerReader,
  derBitString,
  derExplicit,
  derInteger,
  derSequence,
  derTag,
  derTime,
  derValue,
} from '../der.ts';
import { CoreError } from '../error.ts';
import type { Signer } from '../signer.ts';
import { equalBytes, toHex } from '../bytes.ts';
import { type Certificate, publicKeyOf } from './certificate.ts';
import { type RevocationReason, revocationReasonCodes, revocationReasonOf } from './crl-reason.ts';
import { type DistinguishedName, equalNames, readName } from './distinguished-name.ts';
import { authorityKeyIdentifier, encodeExtensions, type Extension, readExtensions } from './extensions.ts';
import { crlOid } from './oid.ts';
import { keyIdentifierOf } from './public-key.ts';
import {
  assertSameAlgorithm,
  encodeSignatureAlgorithm,
  readSignatureAlgorithm,
  signatureProblem,
  type SignatureScheme,
  verifySignature,
} from './signature-algorithm.ts';

/** What our DER lengths can hold: over 300,000 entries. */
export const CRL_LENGTH_MAX = 0xffffff;
const derEnumerated = 0x0a;
// RFC 5280 sections 4.1.2.2 and 5.2.3.
const NUMBER_LENGTH_MAX = 20;

export interface RevokedCertificate {
  /** Content octets of the serial number: positive, minimal. */
  readonly serial: Uint8Array;
  /** Unix seconds. */
  readonly revokedAtSeconds: number;
  readonly reason: RevocationReason;
}

/** DER of one entry. RFC 5280 section 5.3.1: `unspecified` is expressed by leaving the reason out. */
export function encodeCrlEntry({ serial, revokedAtSeconds, reason }: RevokedCertificate): Uint8Array {
  const code = Uint8Array.of(revocationReasonCodes[reason]);
  const extension = { oid: crlOid.reasonCode, critical: false, value: derValue(derEnumerated, code) };
  const extensions = reason === 'unspecified' ? [] : [encodeExtensions([extension])];
  return derSequence(derInteger(serial), derTime(revokedAtSeconds), ...extensions);
}

export interface CrlTemplate {
  /** The authority that issued the certificates and signs this list. */
  readonly issuer: Certificate;
  /** Grows from list to list (RFC 5280 section 5.2.3). */
  readonly number: number;
  readonly thisUpdateSeconds: number;
  readonly nextUpdateSeconds: number;
  /** The results of `encodeCrlEntry`, each serial once: a long list is made in parts. */
  readonly entries: readonly Uint8Array[];
}

/** The signed list as DER; the signer is the issuer's. Throws `crl-invalid` when it would end before it begins or be too long. */
export async function encodeCrl(template: CrlTemplate, signer: Signer): Promise<Uint8Array> {
  const { issuer, entries, thisUpdateSeconds, nextUpdateSeconds } = template;
  if (nextUpdateSeconds <= thisUpdateSeconds) throw invalid('the next update is not after this one');
  const algorithm = encodeSignatureAlgorithm(signer.algorithm);
  const number: Extension = { oid: crlOid.crlNumber, critical: false, value: derInteger(template.number) };
  const identifier = issuer.extensions.subjectKeyIdentifier ?? keyIdentifierOf(issuer.spki);
  const tbs = derSequence(
    derInteger(1),
    algorithm,
    issuer.subject.der,
    derTime(thisUpdateSeconds),
    derTime(nextUpdateSeconds),
    // RFC 5280 section 5.1.2.6: an empty list is left out.
    ...(entries.length === 0 ? [] : [derSequence(Buffer.concat(entries))]),
    derExplicit(0, encodeExtensions([authorityKeyIdentifier(identifier), number])),
  );
  return derSequence(tbs, algorithm, derBitString(await signer.sign(tbs)));
}

export interface Crl {
  /** TBSCertList as received: what the signature covers. */
  readonly tbs: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly thisUpdateSeconds: number;
  readonly nextUpdateSeconds: number;
  /** Content octets of the list's number. */
  readonly number: Uint8Array;
  readonly authorityKeyIdentifier: Uint8Array;
  /** By serial number: lower-case hex without leading zeros, as `serialText` writes it. */
  readonly revoked: ReadonlyMap<string, RevokedCertificate>;
  readonly signatureScheme: SignatureScheme;
  readonly signature: Uint8Array;
}

/** Parses a list; nothing in it may be used before `verifyCrl`. Anything outside the profile of RFC 5280 throws `crl-invalid`. */
export function parseCrl(der: Uint8Array): Crl {
  if (der.length > CRL_LENGTH_MAX) throw invalid(`${der.length} bytes, at most ${CRL_LENGTH_MAX}`);
  try {
    return readCrl(der);
  } catch (cause) {
    if (!(cause instanceof CoreError) || cause.code === 'crl-invalid') throw cause;
    throw new CoreError('crl-invalid', cause.message, { cause });
  }
}

function readCrl(der: Uint8Array): Crl {
  const outer = new DerReader(der, 'revocation list');
  const list = outer.inside();
  outer.end();
  const tbs = list.value(derTag.sequence);
  const outerAlgorithm = readSignatureAlgorithm(list);
  const signature = list.octetsInBitString();
  list.end();

  const fields = list.into(tbs);
  if (fields.smallInteger() !== 1) throw invalid('a version other than 2');
  assertSameAlgorithm(readSignatureAlgorithm(fields), outerAlgorithm);
  const issuer = readName(fields, 'revocation list issuer');
  if (issuer.parts.length === 0) throw invalid('an empty issuer');
  const thisUpdateSeconds = fields.time();
  const nextUpdateSeconds = fields.time();
  if (nextUpdateSeconds <= thisUpdateSeconds) throw invalid('the next update is not after this one');
  const revoked = fields.nextTag === derTag.sequence ? readEntries(fields.inside()) : new Map<never, never>();
  const tail = fields.inside(contextTag(0, true));
  fields.end();
  const extensions = readExtensions(tail, 'revocation list');
  tail.end();
  assertNoneCritical(extensions.all);
  if (extensions.authorityKeyIdentifier === undefined) throw invalid('no authority key identifier');
  const number = extensions.all.find(({ oid }) => oid === crlOid.crlNumber);
  if (number === undefined) throw invalid('no number');
  return {
    tbs: tbs.whole,
    issuer,
    thisUpdateSeconds,
    nextUpdateSeconds,
    number: readNumber(number),
    authorityKeyIdentifier: extensions.authorityKeyIdentifier,
    revoked,
    signatureScheme: outerAlgorithm.scheme,
    signature,
  };
}

function readEntries(list: DerReader): ReadonlyMap<string, RevokedCertificate> {
  const revoked = new Map<string, RevokedCertificate>();
  while (!list.done) {
    const entry = readEntry(list.inside());
    const serial = toHex(entry.serial).replace(/^0+(?=.)/, '');
    if (revoked.has(serial)) throw invalid(`the serial number ${serial} occurs twice`);
    revoked.set(serial, entry);
  }
  if (revoked.size === 0) throw invalid('an empty list that is written out');
  return revoked;
}

function readEntry(fields: DerReader): RevokedCertificate {
  const serial = fields.integer();
  if ((serial[0] ?? 0) >= 0x80 || serial.length > NUMBER_LENGTH_MAX) throw invalid('a serial number out of range');
  const revokedAtSeconds = fields.time();
  if (fields.done) return { serial, revokedAtSeconds, reason: 'unspecified' };
  const { all } = readExtensions(fields, 'revocation list entry');
  fields.end();
  assertNoneCritical(all);
  const reason = all.find(({ oid }) => oid === crlOid.reasonCode);
  return { serial, revokedAtSeconds, reason: reason === undefined ? 'unspecified' : readReason(reason) };
}

function readReason({ value }: Extension): RevocationReason {
  const reader = new DerReader(value, 'revocation reason');
  const code = reader.smallInteger(derEnumerated);
  reader.end();
  const reason = revocationReasonOf(code);
  if (reason === undefined) throw invalid(`the reason ${code}`);
  return reason;
}

function readNumber({ value }: Extension): Uint8Array {
  const reader = new DerReader(value, 'revocation list number');
  const number = reader.integer();
  reader.end();
  if ((number[0] ?? 0) >= 0x80 || number.length > NUMBER_LENGTH_MAX) throw invalid('a number out of range');
  return number;
}

function assertNoneCritical(extensions: readonly Extension[]): void {
  const critical = extensions.find((extension) => extension.critical);
  if (critical !== undefined) throw invalid(`a critical extension (${critical.oid}) that is not processed here`);
}

export type CrlVerdict = { readonly kind: 'valid' } | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/**
 * Whether this list was signed by the issuer and is current at `atSeconds` (Unix). The issuer's certificate must have been validated
 * before.
 */
export function verifyCrl(crl: Crl, issuer: Certificate, atSeconds: number): CrlVerdict {
  const usages = issuer.extensions.keyUsage;
  const identifier = issuer.extensions.subjectKeyIdentifier;
  const { signatureScheme: scheme } = crl;
  const checks: readonly (readonly [boolean, string])[] = [
    [equalNames(crl.issuer, issuer.subject), 'the list is of another issuer'],
    [identifier === undefined || equalBytes(crl.authorityKeyIdentifier, identifier), 'the list names another key'],
    [usages === undefined || usages.includes('cRLSign'), 'the issuer may not sign lists'],
    [crl.thisUpdateSeconds <= atSeconds, 'the list is from the future'],
    [atSeconds <= crl.nextUpdateSeconds, 'the list has expired'],
    [verifySignature(scheme, publicKeyOf(issuer), crl.tbs, crl.signature), signatureProblem(scheme)],
  ];
  const reasons = checks.filter(([holds]) => !holds).map(([, reason]) => reason);
  return reasons.length === 0 ? { kind: 'valid' } : { kind: 'refused', reasons };
}

function invalid(problem: string): CoreError {
  return new CoreError('crl-invalid', `revocation list: ${problem}`);
}
