// X.509 version 3 certificates (RFC 5280 section 4.1): bytes to a typed value. Parsing proves nothing about who issued it:
// path.ts does. Signatures are verified over `tbs` exactly as received.
import { createHash, type KeyObject } from 'node:crypto';
import { contextTag, DerReader, derTag } from '../der.ts';
import { CoreError } from '../error.ts';
import { type DistinguishedName, readName } from './distinguished-name.ts';
import { type Extensions, noExtensions, readExtensions } from './extensions.ts';
import { toHex } from '../bytes.ts';
import { parseSpki, readSpki } from './public-key.ts';
import { assertSameAlgorithm, readSignatureAlgorithm, type SignatureScheme } from './signature-algorithm.ts';

/** Certificates of TPM vendors reach 2 KiB; a server's with hundreds of names stays under this. */
export const certificateLengthMax = 32 * 1024;
// RFC 5280 section 4.1.2.2.
const serialLengthMax = 20;

export interface Certificate {
  /** The whole certificate as received. */
  readonly der: Uint8Array;
  /** TBSCertificate as received: what the signature covers. */
  readonly tbs: Uint8Array;
  readonly version: 1 | 2 | 3;
  /** Content octets of the serial number: positive, at most 20, a leading zero octet only where the sign needs it. */
  readonly serial: Uint8Array;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** Unix seconds; both ends belong to the period. */
  readonly notBeforeSeconds: number;
  /** 253402300799 (9999-12-31T23:59:59Z) means that there is no date (RFC 5280 section 4.1.2.5). */
  readonly notAfterSeconds: number;
  /** DER SubjectPublicKeyInfo; `publicKeyOf` reads the key. */
  readonly spki: Uint8Array;
  readonly extensions: Extensions;
  readonly signatureScheme: SignatureScheme;
  readonly signature: Uint8Array;
}

/** Parses one DER certificate. Everything that is not strict DER, or breaks a rule of RFC 5280 section 4.1, throws `certificate-invalid`. */
export function parseCertificate(der: Uint8Array): Certificate {
  if (der.length > certificateLengthMax) {
    throw new CoreError('certificate-invalid', `certificate: ${der.length} bytes, at most ${certificateLengthMax}`);
  }
  try {
    return readCertificate(der);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new CoreError('certificate-invalid', cause.message, { cause });
  }
}

function readCertificate(der: Uint8Array): Certificate {
  const outer = new DerReader(der, 'certificate');
  const certificate = outer.inside();
  outer.end();
  const tbs = certificate.value(derTag.sequence);
  const outerAlgorithm = readSignatureAlgorithm(certificate);
  const signature = certificate.octetsInBitString();
  certificate.end();

  const fields = certificate.into(tbs);
  const version = readVersion(fields);
  const serial = readSerial(fields);
  const innerAlgorithm = readSignatureAlgorithm(fields);
  assertSameAlgorithm(innerAlgorithm, outerAlgorithm);
  const issuer = readName(fields, 'certificate issuer');
  if (issuer.parts.length === 0) throw new CoreError('der-invalid', 'certificate: an empty issuer');
  const validity = fields.inside();
  const notBeforeSeconds = validity.time();
  const notAfterSeconds = validity.time();
  validity.end();
  const subject = readName(fields, 'certificate subject');
  const spki = readSpki(fields);
  const extensions = readTail(fields, version);
  fields.end();
  assertNamed(subject, extensions);
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
    extensions,
    signatureScheme: outerAlgorithm.scheme,
    signature,
  };
}

function readVersion(fields: DerReader): 1 | 2 | 3 {
  const explicit = fields.optional(contextTag(0, true));
  if (explicit === undefined) return 1;
  const inner = fields.into(explicit);
  const version = inner.smallInteger();
  inner.end();
  // Version 1 is the default, and DER leaves defaults out.
  if (version === 1) return 2;
  if (version === 2) return 3;
  throw new CoreError('der-invalid', `certificate: version field ${version}, expected 1 or 2`);
}

function readSerial(fields: DerReader): Uint8Array {
  const serial = fields.integer();
  const [first = 0] = serial;
  const zero = serial.length === 1 && first === 0;
  if (first >= 0x80 || zero || serial.length > serialLengthMax) {
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

// RFC 5280 section 4.1.2.6: a subject without a name has it, critical, in the alternative name; an authority has a subject.
function assertNamed(subject: DistinguishedName, extensions: Extensions): void {
  if (subject.parts.length > 0) return;
  if (extensions.basicConstraints?.authority === true || extensions.subjectAltName?.critical !== true) {
    throw new CoreError('der-invalid', 'certificate: an empty subject needs a critical subject alternative name');
  }
}

/** The key the certificate is about; a key we do not use (an odd curve, a short RSA key) throws `key-invalid`. */
export function publicKeyOf(certificate: Certificate): KeyObject {
  return parseSpki(certificate.spki);
}

/** SHA-256 of the whole certificate. */
export function certificateDigest(certificate: Certificate): Uint8Array {
  return createHash('sha256').update(certificate.der).digest();
}

/** The serial number in lower-case hex without leading zeros: one number, one text. */
export function serialText(certificate: Certificate): string {
  return toHex(certificate.serial).replace(/^0+/, '');
}
