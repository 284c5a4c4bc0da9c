// A file of certificates as makers and stores publish them: PEM (any number, text around them), one in DER, or a PKCS #7 bundle in either.
// A broken certificate is reported and left out; the others are read.
import { parseBase64 } from '../bytes.ts';
import { contextTag, DerReader, derTag } from '../der.ts';
import { CoreError } from '../error.ts';
import { type Certificate, parseForeignCertificate } from './certificate.ts';
import { cmsOid } from './oid.ts';

/** The list of all TPM vendors' certificates that Microsoft publishes has about two thousand. */
const FILE_CERTIFICATES_MAX = 10_000;
/** A file of certificates in one piece: that many, and a limit of memory. */
export const CERTIFICATE_FILE_LENGTH_MAX = 32 * 1024 * 1024;
const PROBLEMS_MAX = 100;

export interface CertificateFile {
  readonly certificates: readonly Certificate[];
  /** Certificates that could not be read, each with the file's label and its position; empty when all is well. */
  readonly problems: readonly string[];
}

/** Reads certificates of other issuers. `label` is the file's name, for messages. The content of the file never causes a throw. */
export function readCertificateFile(bytes: Uint8Array, label: string): CertificateFile {
  const found: { certificates: Certificate[]; problems: string[] } = { certificates: [], problems: [] };
  if (bytes.length > CERTIFICATE_FILE_LENGTH_MAX) {
    return { ...found, problems: [`${label}: ${bytes.length} bytes, at most ${CERTIFICATE_FILE_LENGTH_MAX}`] };
  }
  let count = 0;
  for (const { place, read } of blocksOf(bytes, label)) {
    if (found.problems.length === PROBLEMS_MAX) break;
    try {
      for (const der of read()) {
        count += 1;
        if (count > FILE_CERTIFICATES_MAX) {
          found.problems.push(`${label}: over ${FILE_CERTIFICATES_MAX} certificates, the others are left out`);
          return found;
        }
        collect(found, der, place);
      }
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      found.problems.push(`${place}: ${error.message}`);
    }
  }
  if (found.certificates.length + found.problems.length === 0) found.problems.push(`${label}: no certificate`);
  return found;
}

function collect(found: { certificates: Certificate[]; problems: string[] }, der: Uint8Array, place: string): void {
  try {
    found.certificates.push(parseForeignCertificate(der, place));
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    found.problems.push(error.message);
  }
}

interface Block {
  readonly place: string;
  /** The certificates in it; throws CoreError. */
  readonly read: () => readonly Uint8Array[];
}

const begin = /-----BEGIN ([A-Z0-9 ]{1,64})-----/g;

function blocksOf(bytes: Uint8Array, label: string): readonly Block[] {
  const [first] = bytes;
  // No text begins with the octet of a sequence and a length in the long form.
  if (first === derTag.sequence && (bytes[1] ?? 0) >= 0x80)
    return [{ place: label, read: () => certificatesIn(bytes) }];
  const text = Buffer.from(bytes).toString('latin1');
  const starts = [...text.matchAll(begin)];
  if (starts.length === 0) return bareBase64(text, label);
  return starts.map(({ 0: mark, 1: kind = '', index }, at) => {
    const from = index + mark.length;
    const body = text.slice(from, starts[at + 1]?.index ?? text.length);
    const place = starts.length === 1 ? label : `${label} (block ${at + 1})`;
    return { place, read: () => pemBlock(kind, body) };
  });
}

// Some makers' services answer with base64 and no lines around it.
function bareBase64(text: string, label: string): readonly Block[] {
  const body = text.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+=*$/.test(body)) return [];
  return [{ place: label, read: () => certificatesIn(parseBase64(body, 'base64')) }];
}

function pemBlock(kind: string, body: string): readonly Uint8Array[] {
  const end = body.indexOf(`-----END ${kind}-----`);
  if (end === -1) throw new CoreError('encoding-invalid', `PEM: the block ${kind} has no end`);
  const der = () => parseBase64(body.slice(0, end).replaceAll(/\s/g, ''), `PEM ${kind}`);
  switch (kind) {
    case 'CERTIFICATE':
    case 'X509 CERTIFICATE':
    case 'PKCS7':
    case 'CMS':
      return certificatesIn(der());
    case 'TRUSTED CERTIFICATE':
      // OpenSSL's own form: its trust settings follow the certificate, but here the operator decides that.
      return [new DerReader(der(), 'trusted certificate').any().whole];
    default:
      throw new CoreError('encoding-invalid', `PEM: expected CERTIFICATE, found ${kind}`);
  }
}

// A certificate, or a PKCS #7 message (RFC 5652 section 5.1) whose certificates are used and whose signatures are ignored.
function certificatesIn(der: Uint8Array): readonly Uint8Array[] {
  const outer = new DerReader(der, 'certificates', 'foreign');
  const whole = outer.value(derTag.sequence);
  const message = outer.into(whole);
  // A TPM's memory for a certificate is larger than the certificate: copies of it end in 00 or ff.
  const padded = der.subarray(whole.whole.length).every((octet) => octet === 0x00 || octet === 0xff);
  if (message.nextTag !== derTag.oid) return [padded ? whole.whole : der];
  if (message.oid() !== cmsOid.signedData) throw new CoreError('cms-invalid', 'PKCS #7: it is not SignedData');
  const signedData = message.inside(contextTag(0, true)).inside();
  signedData.smallInteger();
  signedData.value(derTag.set);
  signedData.value(derTag.sequence);
  const bag = signedData.inside(contextTag(0, true));
  const certificates: Uint8Array[] = [];
  while (!bag.done) {
    const value = bag.any();
    // Attribute certificates and other choices have other tags.
    if (value.tag === derTag.sequence) certificates.push(value.whole);
  }
  if (certificates.length === 0) throw new CoreError('cms-invalid', 'PKCS #7: no certificates');
  return certificates;
}
