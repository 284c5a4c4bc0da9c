// Certification path validation (RFC 5280 section 6), with path building (RFC 4158) over the available certificates. Stricter than the
// standard where this product does not need the freedom: anchors are checked like every other authority, an authority below one needs
// version 3 and basicConstraints, and an end entity names its purpose. Revocation is not decided here.
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { type Certificate, publicKeyOf } from './certificate.ts';
import { asIndex, type CertificateIndex, type Certificates, namesAnotherKey } from './certificate-index.ts';
import { equalNames, nameText } from './distinguished-name.ts';
import type { KeyUsage } from './extensions.ts';
import { nameViolations } from './name-constraints.ts';
import { keyPurposeOid } from './oid.ts';
import { type PolicyRules, policyProblem } from './policy-graph.ts';
import { pssAllows, schemeText, verifySignature } from './signature-algorithm.ts';

/** Leaf to anchor. TPM vendors use four; nobody needs more. */
export const PATH_LENGTH_MAX = 8;
/** Certificates from the other end: more than any chain needs, and few enough that a stranger cannot make us search. */
export const INTERMEDIATES_MAX = 32;
// Each costs up to a millisecond. A search that needs more is a maze made by an attacker.
const SIGNATURE_CHECKS_MAX = 64;
// Limit of all candidates: cross-signed authorities multiply the number of paths.
const CANDIDATES_MAX = 1024;
const REASONS_MAX = 16;

export type CertificatePurpose = 'tls-client' | 'tls-server' | 'code-signing' | 'endorsement-key' | 'any';

export interface PathInput {
  readonly leaf: Certificate;
  /** Sent by the other end, in any order; not trusted, and limited. */
  readonly intermediates: readonly Certificate[];
  /** Added by the operator to help; not trusted, and unlimited. */
  readonly known?: Certificates | undefined;
  /** Trusted for any issuer: an anchor need not be self-issued. */
  readonly anchors: Certificates;
  /** Unix seconds at which the path must be valid. */
  readonly atSeconds: number;
  readonly purpose: CertificatePurpose;
  /** Object identifiers of extensions that the caller processes itself: as critical extensions they are no reason to refuse. */
  readonly processedByCaller?: readonly string[];
  /** Requirements on certificate policies; left out: none. */
  readonly policies?: PolicyRules | undefined;
}

export type PathResult =
  | { readonly kind: 'valid'; /** Leaf first, anchor last. */ readonly chain: readonly Certificate[] }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Finds a path from the leaf to an anchor that is valid in every respect. Refuses with the faults of the paths that it tried. */
export function validatePath(input: PathInput): PathResult {
  if (input.intermediates.length > INTERMEDIATES_MAX) {
    return { kind: 'refused', reasons: [`${input.intermediates.length} intermediates, at most ${INTERMEDIATES_MAX}`] };
  }
  const { leaf, intermediates, known = [], anchors } = input;
  const search: Search = {
    input,
    anchors: asIndex(anchors),
    others: [asIndex(intermediates), asIndex(known)],
    reasons: new Set(),
    verified: new Map(),
    signatureChecks: 0,
    candidates: 0,
  };
  const chain = extend(search, [leaf]);
  if (chain !== undefined) return { kind: 'valid', chain };
  return { kind: 'refused', reasons: [...search.reasons].slice(0, REASONS_MAX) };
}

interface Search {
  readonly input: PathInput;
  readonly anchors: CertificateIndex;
  readonly others: readonly CertificateIndex[];
  readonly reasons: Set<string>;
  /** The results of signature checks: several paths may need the same one. */
  readonly verified: Map<Certificate, Map<Certificate, boolean>>;
  signatureChecks: number;
  candidates: number;
}

// Depth first, anchors before intermediates, so the shortest path is tried first; after a refusal every other path is tried.
function extend(search: Search, chain: readonly Certificate[]): readonly Certificate[] | undefined {
  const last = chain.at(-1);
  if (last === undefined) return undefined;
  if (chain.length >= PATH_LENGTH_MAX) {
    search.reasons.add(`no anchor within ${PATH_LENGTH_MAX} certificates`);
    return undefined;
  }
  const anchors = search.anchors.issuersOf(last);
  let found = false;
  for (const issuer of [...anchors, ...search.others.flatMap((index) => index.issuersOf(last))]) {
    if (repeats(chain, issuer)) continue;
    found = true;
    search.candidates += 1;
    if (search.candidates > CANDIDATES_MAX) {
      search.reasons.add(`no path within ${CANDIDATES_MAX} candidates`);
      return undefined;
    }
    if (!isSignedBy(search, last, issuer)) continue;
    const longer = [...chain, issuer];
    const complete = anchors.includes(issuer) ? judged(search, longer) : extend(search, longer);
    if (complete !== undefined) return complete;
  }
  if (!found) search.reasons.add(`no issuer found for ${shown(last)}: it names ${nameText(last.issuer)}`);
  return undefined;
}

// RFC 4158 section 2.4.2: the same subject with the same key again is a loop, even with a different certificate.
function repeats(chain: readonly Certificate[], candidate: Certificate): boolean {
  return chain.some((link) => equalBytes(link.spki, candidate.spki) && equalNames(link.subject, candidate.subject));
}

function isSignedBy(search: Search, certificate: Certificate, issuer: Certificate): boolean {
  const before = search.verified.get(certificate)?.get(issuer);
  if (before !== undefined) return before;
  if (namesAnotherKey(certificate, issuer)) {
    search.reasons.add(`${shown(certificate)} names another key of its issuer (authority key identifier)`);
    return false;
  }
  const { signatureScheme, tbs, signature } = certificate;
  if (signatureScheme.kind === 'unsupported') {
    search.reasons.add(`${shown(certificate)} is signed with ${signatureScheme.name}, which is not accepted`);
    return false;
  }
  if (!pssAllows(issuer.pss, signatureScheme)) {
    search.reasons.add(`${shown(issuer)} has a key for RSASSA-PSS, and ${shown(certificate)} is signed in another way`);
    return false;
  }
  search.signatureChecks += 1;
  if (search.signatureChecks > SIGNATURE_CHECKS_MAX) {
    search.reasons.add(`no path within ${SIGNATURE_CHECKS_MAX} signature checks`);
    return false;
  }
  let verified = false;
  try {
    verified = verifySignature(signatureScheme, publicKeyOf(issuer), tbs, signature);
    const scheme = schemeText(signatureScheme);
    if (!verified)
      search.reasons.add(`the signature of ${shown(certificate)} (${scheme}) does not verify under ${shown(issuer)}`);
  } catch (error) {
    // An issuer whose key we do not use is no issuer; other candidates may follow.
    if (!(error instanceof CoreError)) throw error;
    search.reasons.add(`${shown(issuer)}: ${error.message}`);
  }
  const results = search.verified.get(certificate) ?? new Map<Certificate, boolean>();
  search.verified.set(certificate, results.set(issuer, verified));
  return verified;
}

function judged(search: Search, chain: readonly Certificate[]): readonly Certificate[] | undefined {
  const { atSeconds, purpose, processedByCaller = [], policies } = search.input;
  const problem = policyProblem(chain, policies);
  const ofCertificates = chain.flatMap((certificate, at) => [
    ...validityReasons(certificate, atSeconds),
    ...certificate.extensions.unknownCritical
      .filter((oid) => !processedByCaller.includes(oid))
      .map((oid) => `${shown(certificate)} has the unknown critical extension ${oid}`),
    ...(at === 0
      ? [...keyReasons(certificate), ...endEntityReasons(certificate, purpose)]
      : authorityReasons(chain, at, purpose)),
    ...constraintReasons(chain, at),
  ]);
  const reasons = [...ofCertificates, ...(problem === undefined ? [] : [problem])];
  for (const reason of reasons) search.reasons.add(reason);
  return reasons.length === 0 ? chain : undefined;
}

/** Why a certificate is not valid at a time; empty when it is. */
export function validityReasons(certificate: Certificate, atSeconds: number): readonly string[] {
  const { notBeforeSeconds, notAfterSeconds } = certificate;
  if (atSeconds < notBeforeSeconds) return [`${shown(certificate)} is not valid before ${dateText(notBeforeSeconds)}`];
  if (atSeconds > notAfterSeconds) return [`${shown(certificate)} expired at ${dateText(notAfterSeconds)}`];
  return [];
}

// A key that cannot be used here (too short, its own curve) makes a certificate worthless, even with a valid signature.
function keyReasons(certificate: Certificate): readonly string[] {
  try {
    publicKeyOf(certificate);
    return [];
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return [`${shown(certificate)}: ${error.message}`];
  }
}

interface PurposeRule {
  readonly keyPurpose: string;
  /** If the certificate limits its key's usage, one of these must be in it. */
  readonly usages: readonly KeyUsage[];
}

// RFC 5280 section 4.2.1.12; TLS 1.3 only ever signs (RFC 8446 section 4.4.2); an endorsement key decrypts (RSA) or agrees (EC).
const purposeRules: Readonly<Record<Exclude<CertificatePurpose, 'any'>, PurposeRule>> = {
  'tls-client': { keyPurpose: keyPurposeOid.clientAuth, usages: ['digitalSignature'] },
  'tls-server': { keyPurpose: keyPurposeOid.serverAuth, usages: ['digitalSignature'] },
  'code-signing': { keyPurpose: keyPurposeOid.codeSigning, usages: ['digitalSignature'] },
  'endorsement-key': { keyPurpose: keyPurposeOid.tcgEndorsementKey, usages: ['keyEncipherment', 'keyAgreement'] },
};

function endEntityReasons(certificate: Certificate, purpose: CertificatePurpose): readonly string[] {
  if (purpose === 'any') return [];
  const { keyPurpose, usages } = purposeRules[purpose];
  const { basicConstraints, keyUsage, extendedKeyUsage } = certificate.extensions;
  const reasons: string[] = [];
  if (basicConstraints?.authority === true) reasons.push(`${shown(certificate)} is an authority, not an end entity`);
  if (extendedKeyUsage?.includes(keyPurpose) !== true) {
    reasons.push(`${shown(certificate)} is not for ${purpose}: its extended key usage lacks ${keyPurpose}`);
  }
  if (keyUsage !== undefined && !usages.some((usage) => keyUsage.includes(usage))) {
    reasons.push(`${shown(certificate)} is not for ${purpose}: its key usage lacks ${usages.join(' and ')}`);
  }
  return reasons;
}

function authorityReasons(chain: readonly Certificate[], at: number, purpose: CertificatePurpose): readonly string[] {
  const certificate = chain[at];
  if (certificate === undefined) return [];
  const { basicConstraints, keyUsage, extendedKeyUsage } = certificate.extensions;
  const reasons: string[] = [];
  // RFC 5280 section 6.1.4 (k); version 1 and 2 certificates have no basicConstraints. For an anchor the operator decides that it is an
  // authority: old roots have version 1, or only a key usage.
  const saidByOperator =
    at === chain.length - 1 &&
    basicConstraints === undefined &&
    (certificate.version === 1 || keyUsage?.includes('keyCertSign') === true);
  if (basicConstraints?.authority !== true && !saidByOperator)
    reasons.push(`${shown(certificate)} is not an authority`);
  // 6.1.4 (n).
  if (keyUsage !== undefined && !keyUsage.includes('keyCertSign')) {
    reasons.push(`${shown(certificate)} may not sign certificates: its key usage lacks keyCertSign`);
  }
  // 6.1.4 (l), (m): self-issued intermediates do not count.
  const below = chain.slice(1, at).filter((link) => !isSelfIssued(link)).length;
  const pathLength = basicConstraints?.pathLength;
  if (pathLength !== undefined && below > pathLength) {
    reasons.push(`${shown(certificate)} allows ${pathLength} authorities below it, the path has ${below}`);
  }
  // Not in RFC 5280, but every TLS stack does it: an authority that lists key purposes issues only for those.
  const listed = extendedKeyUsage ?? [keyPurposeOid.any];
  if (purpose !== 'any' && !listed.includes(keyPurposeOid.any) && !listed.includes(purposeRules[purpose].keyPurpose)) {
    reasons.push(`${shown(certificate)} does not issue for ${purpose}: its extended key usage lacks it`);
  }
  return reasons;
}

// 6.1.3 (b), (c): the constraints of every authority above; self-issued intermediates are exempt.
function constraintReasons(chain: readonly Certificate[], at: number): readonly string[] {
  const certificate = chain[at];
  if (certificate === undefined || (at > 0 && isSelfIssued(certificate))) return [];
  return chain.slice(at + 1).flatMap((authority) => {
    const { nameConstraints } = authority.extensions;
    if (nameConstraints === undefined) return [];
    return nameViolations(certificate, nameConstraints).map(
      (violation) => `${shown(certificate)}: ${violation} (name constraints of ${shown(authority)})`,
    );
  });
}

function isSelfIssued(certificate: Certificate): boolean {
  return equalNames(certificate.subject, certificate.issuer);
}

function shown(certificate: Certificate): string {
  return `"${nameText(certificate.subject)}"`;
}

/** A moment in the form of a reason. */
export function dateText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
