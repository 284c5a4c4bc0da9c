// X.509 version 3 certificates (RFC 5280 section 4.1): bytes to a typed value. Parsing proves nothing about the issuer: path.ts does.
// Signatures are verified over `tbs` exactly as received.
import { createHash, type KeyObject } from 'node:crypto';
import { toHex } from '../bytes.ts';
import { contextTag, DerReader, type DerRules, derTag } from '../der.ts';
import { CoreError } from '../error.ts';
import { readKey } from './canonical-key.ts';
import { type DistinguishedName, nameText, readName } from './distinguished-name.ts';
import { type Extensions, noExtensions, readExtensions } from './extensions.ts';
import { parseSpki, readSpki } from './public-key.ts';
import {
  assertSameAlgorithm,
  type PssRestriction,
  readSignatureAlgorithm,
  type SignatureScheme,
} from './signature-algorithm.ts';

/** Certificates of TPM vendors reach 2 KiB; a server's with hundreds of names stays under this. */
const CERTIFICATE_LENGTH_MAX = 32 * 1024;
// RFC 5280 section 4.1.2.2; Intel and Oxide have issued longer ones, which readers should handle gracefully.
const SERIAL_LENGTH_MAX = { strict: 20, foreign: 64 } as const;

export interface Certificate {
  /** The whole certificate as received. */
  readonly der: Uint8Array;
  /** TBSCertificate as received: what the signature covers. */
  readonly tbs: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** Content octets of the serial number, a leading zero octet only where the sign needs it; positive and at most 20 in what we issue. */
  readonly serial: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Unix seconds; both ends belong to the period. */
  readonly notBeforeSeconds: number;
  /** 253402300799 (9999-12-31T23:59:59Z) means that there is no end date (RFC 5280 section 4.1.2.5). */
  readonly notAfterSeconds: number;
  /** DER SubjectPublicKeyInfo, in canonical form; `publicKeyOf` reads the key. */
  readonly spki: Uint8Array;
  /** Set when the key may sign only by RSASSA-PSS. */
  readonly pss: PssRestriction | undefined;
  readonly extensions: Extensions;
  readonly signatureScheme: SignatureScheme;
  readonly signature: Uint8Array;
}

/**
 * Parses one DER certificate of the kind we issue. Everything that is not strict DER, or breaks a rule of RFC 5280 section 4.1, throws
 * `certificate-invalid`.
 */
export function parseCertificate(der: Uint8Array): Certificate {
  return parseBy('strict', der, 'certificate');
}

/**
 * Parses one certificate of another issuer (makers of TPMs and chips, manufacturers, publishers), by what RFC 5280 requires of readers:
 * spec/certificates.md, "Certificates of others". `label` names its origin in messages, for example a file. Throws `certificate-invalid`;
 * the message names the certificate as far as it could be read.
 */
export function parseForeignCertificate(der: Uint8Array, label = 'certificate'): Certificate {
  return parseBy('foreign', der, label);
}

// What is known about a certificate when reading it fails.
interface Progress {
  serial?: Uint8Array;
  issuer?: DistinguishedName;
  subject?: DistinguishedName;
}

function parseBy(rules: DerRules, der: Uint8Array, label: string): Certificate {
  if (der.length > CERTIFICATE_LENGTH_MAX) {
    throw new CoreError('certificate-invalid', `${label}: ${der.length} bytes, at most ${CERTIFICATE_LENGTH_MAX}`);
  }
  const progress: Progress = {};
  try {
    return readCertificate(rules, der, progress);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    const message = rules === 'strict' ? cause.message : `${label}: ${progressText(progress)}${cause.message}`;
    throw new CoreError('certificate-invalid', message, { cause });
  }
}

function progressText({ serial, issuer, subject }: Progress): string {
  if (serial === undefined) return '';
  const whose = subject !== undefined ? ` of ${nameText(subject)}` : '';
  const from = issuer !== undefined ? ` by ${nameText(issuer)}` : '';
  return `the certificate${whose} with serial number ${serialHex(serial)}${from}: `.slice(0, PROGRESS_LENGTH_MAX);
}

const PROGRESS_LENGTH_MAX = 300;

function readCertificate(rules: DerRules, der: Uint8Array, progress: Progress): Certificate {
  // Parts that no signature covers must have one form: otherwise one certificate would have many digests.
  const outer = new DerReader(der, 'certificate');
  const { content } = outer.value(derTag.sequence);
  outer.end();
  const signed = new DerReader(content, 'certificate', rules, 1);
  const tbs = signed.value(derTag.sequence);
  const rest = new DerReader(content.subarray(tbs.whole.length), 'certificate', 'strict', 1);
  const outerAlgorithm = rest.value(derTag.sequence).whole;
  const signature = rest.octetsInBitString();
  rest.end();

  const fields = signed.into(tbs);
  const version = readVersion(fields);
  const serial = readSerial(fields);
  progress.serial = serial;
  const { scheme, der: innerAlgorithm } = readSignatureAlgorithm(fields);
  assertSameAlgorithm({ der: innerAlgorithm }, { der: outerAlgorithm });
  const issuer = readName(fields, 'certificate issuer');
  progress.issuer = issuer;
  if (issuer.parts.length === 0) throw new CoreError('der-invalid', 'certificate: an empty issuer');
  const validity = fields.inside();
  const notBeforeSeconds = validity.time();
  const notAfterSeconds = validity.time();
  validity.end();
  const subject = readName(fields, 'certificate subject');
  progress.subject = subject;
  const { spki, pss } = readCertifiedKey(fields);
  const extensions = readTail(fields, version);
  fields.end();
  assertNamed(subject, extensions, rules);
  return {
    der,
    tbs: tbs.whole,
    version,
    serial,
    issuer,
    subject,
    notBeforeSeconds,
    notAfterSeconds,
    spki,
    pss,
    extensions,
    signatureScheme: scheme,
    signature,
  };
}

// A key without a canonical form (its own curve parameters, an unknown kind) stays unchanged: `publicKeyOf` refuses it by name.
function readCertifiedKey(fields: DerReader): Pick<Certificate, 'spki' | 'pss'> {
  const received = readSpki(fields);
  try {
    const { canonical, pss } = readKey(received);
    return { spki: canonical, pss };
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return { spki: received, pss: undefined };
  }
}

function readVersion(fields: DerReader): 1 | 2 | 3 {
  const explicit = fields.optional(contextTag(0, true));
  if (explicit === undefined) return 1;
  const inner = fields.into(explicit);
  const version = inner.smallInteger();
  inner.end();
  // Version 1 is the default, and DER leaves defaults out.
  if (version === 0 && fields.rules === 'foreign') return 1;
  if (version === 1) return 2;
  if (version === 2) return 3;
  throw new CoreError('der-invalid', `certificate: version field ${version}, expected 1 or 2`);
}

function readSerial(fields: DerReader): Uint8Array {
  const serial = fields.integer();
  const maxLength = SERIAL_LENGTH_MAX[fields.rules];
  if (serial.length > maxLength)
    throw new CoreError('der-invalid', `certificate: a serial number of ${serial.length} octets, at most ${maxLength}`);
  const [first = 0] = serial;
  const zero = serial.length === 1 && first === 0;
  // RFC 5280 section 4.1.2.2: authorities must not issue these, readers should handle them gracefully.
  if (fields.rules === 'strict' && (first >= 0x80 || zero)) {
    throw new CoreError('der-invalid', `certificate: the serial number must be positive and at most 20 octets`);
  }
  return serial;
}

function readTail(fields: DerReader, version: 1 | 2 | 3): Extensions {
  const issuerUniqueId = fields.optional(contextTag(1, false));
  const subjectUniqueId = fields.optional(contextTag(2, false));
  if ((issuerUniqueId !== undefined || subjectUniqueId !== undefined) && version === 1) {
    throw new CoreError('der-invalid', 'certificate: unique identifiers in a version 1 certificate');
  }
  const explicit = fields.optional(contextTag(3, true));
  if (explicit === undefined) return noExtensions;
  if (version !== 3) throw new CoreError('der-invalid', `certificate: extensions in a version ${version} certificate`);
  const inner = fields.into(explicit);
  const extensions = readExtensions(inner, 'certificate');
  inner.end();
  return extensions;
}

// RFC 5280 section 4.1.2.6: a subject without a name has it, critical, in the alternative name; an authority has a subject. That binds the
// issuer: no path leads through another issuer's certificate without a name.
function assertNamed(subject: DistinguishedName, extensions: Extensions, rules: DerRules): void {
  if (subject.parts.length > 0 || rules === 'foreign') return;
  if (extensions.basicConstraints?.authority === true || extensions.subjectAltName?.critical !== true) {
    throw new CoreError('der-invalid', 'certificate: an empty subject needs a critical subject alternative name');
  }
}

/** The certified key; a key that we do not use (an odd curve, a short RSA key) throws `key-invalid`. */
export function publicKeyOf(certificate: Certificate): KeyObject {
  return parseSpki(certificate.spki);
}

/** SHA-256 of the whole certificate. */
export function certificateDigest(certificate: Certificate): Uint8Array {
  return createHash('sha256').update(certificate.der).digest();
}

/** The serial number in lower-case hex without leading zeros, negative ones with a minus sign: one number, one text. */
export function serialText(certificate: Certificate): string {
  return serialHex(certificate.serial);
}

function serialHex(serial: Uint8Array): string {
  if ((serial[0] ?? 0) < 0x80) return toHex(serial).replace(/^0+(?=.)/, '');
  const value = BigInt.asUintN(serial.length * 8, -BigInt(`0x${toHex(serial)}`));
  return `-${value.toString(16)}`;
}
