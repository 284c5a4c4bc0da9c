// Roll-over of a root (RFC 4210 section 4.4, RFC 7030 section 4.1.3, spec/authorities.md "Links between roots"): the two certificates by
// which an old root certifies the new one. Only by them does a reader accept a root that it was not delivered with.
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { type Certificate, publicKeyOf } from './certificate.ts';
import { equalNames } from './distinguished-name.ts';
import { authorityKeyIdentifier, basicConstraints, keyUsage, subjectKeyIdentifier } from './extensions.ts';
import type { CertificateTemplate } from './issue.ts';
import { keyIdentifierOf } from './public-key.ts';
import { verifySignature } from './signature-algorithm.ts';

/** With twenty years per root, more than anybody will see. */
export const ROOTS_MAX = 32;

export interface RootLinks {
  /** About the new root's key, signed by the old one. */
  readonly newWithOld: Certificate;
  /** About the old root's key, signed by the new one. */
  readonly oldWithNew: Certificate;
}

/** One root in a hub's list; `links` lead to it from the one before. */
export interface OfferedRoot {
  readonly certificate: Certificate;
  readonly links: RootLinks | undefined;
}

/** NewWithOld: sign it with the old root's key. */
export function newWithOldTemplate(oldRoot: Certificate, newRoot: Certificate, serialRandom: Uint8Array) {
  return linkTemplate({ subject: newRoot, issuer: oldRoot, from: newRoot, until: oldRoot, serialRandom });
}

/** OldWithNew: sign it with the new root's key. */
export function oldWithNewTemplate(oldRoot: Certificate, newRoot: Certificate, serialRandom: Uint8Array) {
  return linkTemplate({ subject: oldRoot, issuer: newRoot, from: oldRoot, until: oldRoot, serialRandom });
}

function linkTemplate(link: {
  readonly subject: Certificate;
  readonly issuer: Certificate;
  readonly from: Certificate;
  readonly until: Certificate;
  readonly serialRandom: Uint8Array;
}): CertificateTemplate {
  const { subject, issuer, from, until, serialRandom } = link;
  return {
    issuer: issuer.subject,
    subject: subject.subject,
    spki: subject.spki,
    serialRandom,
    notBeforeSeconds: from.notBeforeSeconds,
    notAfterSeconds: until.notAfterSeconds,
    extensions: [
      basicConstraints(true),
      keyUsage('keyCertSign', 'cRLSign'),
      subjectKeyIdentifier(identifierOf(subject)),
      authorityKeyIdentifier(identifierOf(issuer)),
    ],
  };
}

/** Everything that is wrong with one step from an old root to a new one; empty when the new one may be trusted. */
export function rolloverProblems(
  oldRoot: Certificate,
  newRoot: Certificate,
  { newWithOld, oldWithNew }: RootLinks,
  atSeconds: number,
): readonly string[] {
  const checks: readonly (readonly [boolean, string])[] = [
    // spec/authorities.md, rule 1.
    [isSignedBy(newRoot, newRoot), 'the new root is not self-signed'],
    [isAuthority(newRoot), 'the new root is not an authority'],
    [equalNames(newRoot.subject, oldRoot.subject), 'the new root has another name than the old one'],
    [equalNames(newRoot.issuer, newRoot.subject), 'the new root names another issuer'],
    [!equalBytes(newRoot.spki, oldRoot.spki), 'the new root has the key of the old one'],
    [isCurrent(newRoot, atSeconds), 'the new root is outside its period'],
    // Rule 2.
    [isAbout(newWithOld, newRoot), 'NewWithOld is about another key or name than the new root'],
    [equalNames(newWithOld.issuer, oldRoot.subject), 'NewWithOld names another issuer than the old root'],
    [isAuthority(newWithOld), 'NewWithOld is not for an authority'],
    [isCurrent(newWithOld, atSeconds), 'NewWithOld is outside its period'],
    [isSignedBy(newWithOld, oldRoot), 'NewWithOld was not signed by the old root'],
    // Rule 3.
    [isAbout(oldWithNew, oldRoot), 'OldWithNew is about another key or name than the old root'],
    [equalNames(oldWithNew.issuer, newRoot.subject), 'OldWithNew names another issuer than the new root'],
    [isSignedBy(oldWithNew, newRoot), 'OldWithNew was not signed by the new root'],
    // Rule 4.
    [isCurrent(oldRoot, atSeconds), 'the old root is outside its period'],
  ];
  return checks.filter(([holds]) => !holds).map(([, problem]) => problem);
}

export type FollowResult =
  | {
      readonly kind: 'extended' | 'unchanged';
      /** Oldest first. */
      readonly roots: readonly Certificate[];
    }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/**
 * The roots that a reader with `known` (oldest first, at least one) may trust from a hub's list of all its roots (oldest first): its own
 * roots and every later one that valid steps reach. All of the list or nothing.
 */
export function followRollovers(
  known: readonly Certificate[],
  offered: readonly OfferedRoot[],
  atSeconds: number,
): FollowResult {
  const refused = (...reasons: readonly string[]) => ({ kind: 'refused', reasons }) as const;
  if (offered.length > ROOTS_MAX) return refused(`${offered.length} roots, at most ${ROOTS_MAX}`);
  const places = known.map((root) => offered.findIndex(({ certificate }) => equalBytes(certificate.der, root.der)));
  const [first = -1] = places;
  const last = places.at(-1) ?? -1;
  if (last === -1) return refused('the newest root that is known here is not in the list: rolled back, or another hub');
  if (places.some((place, at) => place === -1 || place !== first + at))
    return refused('the known roots are not in this order in the list');
  if (offered.some(({ certificate }, at) => offered.findIndex((other) => isSame(other, certificate)) !== at))
    return refused('a root occurs twice in the list');
  const roots = [...known];
  for (const [at, { certificate, links }] of offered.slice(last + 1).entries()) {
    const before = roots.at(-1);
    const step = `step ${at + 1}`;
    if (before === undefined || links === undefined)
      return refused(`${step}: the links to the root before are missing`);
    const problems = rolloverProblems(before, certificate, links, atSeconds);
    if (problems.length > 0) return refused(...problems.map((problem) => `${step}: ${problem}`));
    roots.push(certificate);
  }
  return { kind: roots.length > known.length ? 'extended' : 'unchanged', roots };
}

function isSame({ certificate }: OfferedRoot, other: Certificate): boolean {
  return equalBytes(certificate.spki, other.spki);
}

function isAbout(link: Certificate, root: Certificate): boolean {
  return equalBytes(link.spki, root.spki) && equalNames(link.subject, root.subject);
}

function isAuthority({ extensions: { basicConstraints: basic, keyUsage: usages, unknownCritical } }: Certificate) {
  const mayGoOn = basic?.authority === true && basic.pathLength === undefined;
  return mayGoOn && usages?.includes('keyCertSign') === true && unknownCritical.length === 0;
}

function isCurrent({ notBeforeSeconds, notAfterSeconds }: Certificate, atSeconds: number): boolean {
  return atSeconds >= notBeforeSeconds && atSeconds <= notAfterSeconds;
}

function isSignedBy({ signatureScheme, tbs, signature }: Certificate, issuer: Certificate): boolean {
  try {
    return verifySignature(signatureScheme, publicKeyOf(issuer), tbs, signature);
  } catch (error) {
    // A key that is not used here signs nothing.
    if (error instanceof CoreError) return false;
    throw error;
  }
}

function identifierOf(certificate: Certificate): Uint8Array {
  return certificate.extensions.subjectKeyIdentifier ?? keyIdentifierOf(certificate.spki);
}
