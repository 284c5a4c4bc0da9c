// Many certificates, found by the name and key of an issuer: an operator may trust and know thousands of certificates, and a path needs
// only the few that can have issued the last one.
import { equalBytes, toHex } from '../bytes.ts';
import type { Certificate } from './certificate.ts';
import { canonicalName, type DistinguishedName } from './distinguished-name.ts';

export interface CertificateIndex {
  /** Each once, in the order given. */
  readonly certificates: readonly Certificate[];
  /** Those whose subject is the issuer's name; first those with the key that it names, then those that do not name their key. */
  issuersOf(certificate: Certificate): readonly Certificate[];
}

/** The certificates for building a path: a list of a few, or an index of many. */
export type Certificates = readonly Certificate[] | CertificateIndex;

/** An index never changes: make a new one when a certificate comes or goes. */
export function indexCertificates(certificates: Iterable<Certificate>): CertificateIndex {
  const byDigest = new Map<string, Certificate>();
  for (const certificate of certificates) {
    const text = toHex(certificate.der);
    if (!byDigest.has(text)) byDigest.set(text, certificate);
  }
  const once = [...byDigest.values()];
  const bySubject = Map.groupBy(once, ({ subject }) => keyOf(subject));
  return {
    certificates: once,
    issuersOf: (certificate) => inOrder(certificate, bySubject.get(keyOf(certificate.issuer)) ?? []),
  };
}

export function asIndex(certificates: Certificates): CertificateIndex {
  return 'issuersOf' in certificates ? certificates : indexCertificates(certificates);
}

/** Whether the certificate names another issuer key than this one (RFC 5280 section 4.2.1.1). */
export function namesAnotherKey(certificate: Certificate, issuer: Certificate): boolean {
  const wanted = certificate.extensions.authorityKeyIdentifier;
  const has = issuer.extensions.subjectKeyIdentifier;
  return wanted !== undefined && has !== undefined && !equalBytes(wanted, has);
}

function inOrder(certificate: Certificate, candidates: readonly Certificate[]): readonly Certificate[] {
  const wanted = certificate.extensions.authorityKeyIdentifier;
  if (wanted === undefined || candidates.length < 2) return candidates;
  const rank = (candidate: Certificate) => {
    if (namesAnotherKey(certificate, candidate)) return 2;
    return candidate.extensions.subjectKeyIdentifier === undefined ? 1 : 0;
  };
  return candidates.toSorted((a, b) => rank(a) - rank(b));
}

function keyOf(name: DistinguishedName): string {
  return toHex(canonicalName(name));
}
