// A set of certificates in CMS (RFC 5652 section 5, RFC 7030 section 4.1.3): SignedData without content and without signers.
import {
  contextTag,
  DerReader,
  derExplicit,
  derInteger,
  derOid,
  derSequence,
  derSetOf,
  derTag,
  derValue,
} from '../der.ts';
import { CoreError } from '../error.ts';
import { type Certificate, parseCertificate } from './certificate.ts';
import { cmsOid } from './oid.ts';

/** A chain has two or three; an authority that rolls over has a few more. */
const CMS_CERTIFICATES_MAX = 32;

/** DER of a certs-only message. */
export function encodeCertificates(certificates: readonly Certificate[]): Uint8Array {
  const sorted = certificates.map(({ der }) => der).toSorted((a, b) => Buffer.compare(a, b));
  const signedData = derSequence(
    derInteger(1),
    derSetOf(),
    derSequence(derOid(cmsOid.data)),
    derValue(contextTag(0, true), ...sorted),
    derSetOf(),
  );
  return derSequence(derOid(cmsOid.signedData), derExplicit(0, signedData));
}

/** The certificates of a certs-only message; throws `cms-invalid` for one with content, signers or anything else inside. */
export function parseCertificates(der: Uint8Array): readonly Certificate[] {
  try {
    return readCertificates(der);
  } catch (cause) {
    if (!(cause instanceof CoreError) || cause.code === 'cms-invalid') throw cause;
    throw new CoreError('cms-invalid', cause.message, { cause });
  }
}

function readCertificates(der: Uint8Array): readonly Certificate[] {
  const outer = new DerReader(der, 'CMS message');
  const message = outer.inside();
  outer.end();
  if (message.oid() !== cmsOid.signedData) throw invalid('it is not SignedData');
  const explicit = message.inside(contextTag(0, true));
  message.end();
  const signedData = explicit.inside();
  explicit.end();
  if (signedData.smallInteger() !== 1) throw invalid('a version other than 1');
  signedData.inside(derTag.set).end();
  const content = signedData.inside();
  if (content.oid() !== cmsOid.data) throw invalid('content that is not plain data');
  content.end();
  const bag = signedData.inside(contextTag(0, true));
  const certificates: Certificate[] = [];
  while (!bag.done) {
    if (certificates.length === CMS_CERTIFICATES_MAX) throw invalid(`over ${CMS_CERTIFICATES_MAX} certificates`);
    certificates.push(parseCertificate(bag.value(derTag.sequence).whole));
  }
  if (certificates.length === 0) throw invalid('no certificates');
  signedData.inside(derTag.set).end();
  signedData.end();
  return certificates;
}

function invalid(problem: string): CoreError {
  return new CoreError('cms-invalid', `certificates in CMS: ${problem}`);
}
