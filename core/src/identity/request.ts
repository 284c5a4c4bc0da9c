// Certificate requests (PKCS #10, RFC 2986). A request that parses has proven possession of its private key: this is the only way to get a
// parsed one.
import {
  contextTag,
  DerReader,
  derBitString,
  derInteger,
  derOid,
  derSequence,
  derSetOf,
  derTag,
  derValue,
} from '../der.ts';
import { CoreError } from '../error.ts';
import type { Signer } from '../signer.ts';
import { type DistinguishedName, readName } from './distinguished-name.ts';
import { encodeExtensions, type Extension, type Extensions, noExtensions, readExtensions } from './extensions.ts';
import { extensionRequestOid } from './oid.ts';
import { encodeSpki, parseSpki, readSpki } from './public-key.ts';
import {
  encodeSignatureAlgorithm,
  readSignatureAlgorithm,
  signatureProblem,
  verifySignature,
} from './signature-algorithm.ts';

/** A request is smaller than a certificate; an enrolling device is not trusted yet. */
export const CERTIFICATE_REQUEST_LENGTH_MAX = 16 * 1024;
// Requests carry one attribute, some tools add a challenge password and a friendly name.
const ATTRIBUTES_MAX = 16;

export interface CertificateRequest {
  readonly subject: DistinguishedName;
  /** DER SubjectPublicKeyInfo of the key whose possession was proven. */
  readonly spki: Uint8Array;
  /** What the requester asks for; the issuer decides what it grants. */
  readonly extensions: Extensions;
}

/** Parses a DER request and verifies its signature with its own key; anything wrong throws `certificate-request-invalid`. */
export function parseCertificateRequest(der: Uint8Array): CertificateRequest {
  if (der.length > CERTIFICATE_REQUEST_LENGTH_MAX)
    throw invalid(`${der.length} bytes, at most ${CERTIFICATE_REQUEST_LENGTH_MAX}`);
  try {
    return readRequest(der);
  } catch (cause) {
    if (!(cause instanceof CoreError) || cause.code === 'certificate-request-invalid') throw cause;
    throw new CoreError('certificate-request-invalid', cause.message, { cause });
  }
}

function readRequest(der: Uint8Array): CertificateRequest {
  const outer = new DerReader(der, 'certificate request');
  const request = outer.inside();
  outer.end();
  const info = request.value(derTag.sequence);
  const { scheme } = readSignatureAlgorithm(request);
  const signature = request.octetsInBitString();
  request.end();

  const fields = request.into(info);
  if (fields.smallInteger() !== 0) throw invalid('a version other than 1');
  const subject = readName(fields, 'certificate request subject');
  const spki = readSpki(fields);
  // RFC 2986 section 4.2: over the info exactly as received, with the key inside it.
  if (!verifySignature(scheme, parseSpki(spki), info.whole, signature)) {
    throw invalid(`no proof of possession under the key in the request: ${signatureProblem(scheme)}`);
  }
  const extensions = readAttributes(fields);
  fields.end();
  return { subject, spki, extensions };
}

function readAttributes(fields: DerReader): Extensions {
  const attributes = fields.inside(contextTag(0, true));
  let extensions: Extensions | undefined;
  for (let count = 0; !attributes.done; count++) {
    if (count === ATTRIBUTES_MAX) throw invalid(`over ${ATTRIBUTES_MAX} attributes`);
    const attribute = attributes.inside();
    const oid = attribute.oid();
    const values = attribute.inside(derTag.set);
    attribute.end();
    if (oid !== extensionRequestOid) continue;
    if (extensions !== undefined) throw invalid('two lists of extensions');
    extensions = readExtensions(values, 'certificate request');
    values.end();
  }
  return extensions ?? noExtensions;
}

export interface CertificateRequestInput {
  readonly subject: DistinguishedName;
  readonly extensions?: readonly Extension[];
}

/** Makes a request for the signer's own key. */
export async function encodeCertificateRequest(input: CertificateRequestInput, signer: Signer): Promise<Uint8Array> {
  const { extensions = [] } = input;
  const asked = derSequence(derOid(extensionRequestOid), derSetOf(encodeExtensions(extensions)));
  const info = derSequence(
    derInteger(0),
    input.subject.der,
    encodeSpki(signer.publicKey),
    derValue(contextTag(0, true), ...(extensions.length === 0 ? [] : [asked])),
  );
  return derSequence(info, encodeSignatureAlgorithm(signer.algorithm), derBitString(await signer.sign(info)));
}

function invalid(problem: string): CoreError {
  return new CoreError('certificate-request-invalid', `certificate request: ${problem}`);
}
