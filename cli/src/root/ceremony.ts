// What a root signs, as values (spec/authorities.md): itself, an issuing CA, the links to the next root, a list. Each use is recorded
// first.
import { randomBytes } from 'node:crypto';
import { toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import type { CeremonyKind } from '@edgekeep/core/identity/ceremony-record';
import { type Certificate, certificateDigest, parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { classOf } from '@edgekeep/core/identity/certificate-class';
import { encodeCrl, encodeCrlEntry, parseCrl, type RevokedCertificate } from '@edgekeep/core/identity/crl';
import { type DistinguishedName, nameText } from '@edgekeep/core/identity/distinguished-name';
import { type CertificateTemplate, issueCertificate } from '@edgekeep/core/identity/issue';
import { scopeOf, scopeText } from '@edgekeep/core/identity/issuing-scope';
import { issuingAuthorityProfile, rootProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import type { CertificateRequest } from '@edgekeep/core/identity/request';
import {
  newWithOldTemplate,
  oldWithNewTemplate,
  rolloverProblems,
  type RootLinks,
} from '@edgekeep/core/identity/rollover';
import type { Signer } from '@edgekeep/core/signer';
import { type OpenRoot, record } from './root-folder.ts';

const daySeconds = 86_400;
/** Certificates begin a little in the past, for slow clocks. */
const skewSeconds = 300;

/** The root's own certificate. */
export async function selfSign(
  signer: Signer,
  subject: DistinguishedName,
  period: { readonly nowSeconds: number; readonly days: number },
): Promise<Certificate> {
  const template = rootProfile(inputOf(encodeSpki(signer.publicKey), period), subject);
  return parseCertificate(await issueCertificate(template, signer));
}

/**
 * What `signIssuing` would sign, for confirmation: it ends with the root at the latest. The class, and the trust domain of workloads, are the
 * request's; without a class it issues for all of them. Throws `certificate-invalid` for a class that no hub issues.
 */
export function issuingTemplate(
  root: Certificate,
  { spki, subject, extensions }: CertificateRequest,
  period: { readonly nowSeconds: number; readonly days: number },
): CertificateTemplate {
  const input = inputOf(spki, period);
  if (root.notAfterSeconds <= period.nowSeconds) throw new CoreError('certificate-invalid', 'the root has ended');
  const notAfterSeconds = Math.min(input.notAfterSeconds, root.notAfterSeconds);
  const notBeforeSeconds = Math.max(input.notBeforeSeconds, root.notBeforeSeconds);
  return issuingAuthorityProfile(
    { ...input, notBeforeSeconds, notAfterSeconds },
    root,
    subject,
    scopeOf({ extensions }),
  );
}

/** Signs the certificate of an issuing CA. */
export async function signIssuing(root: OpenRoot, template: CertificateTemplate, nowMs: number): Promise<Certificate> {
  return signRecorded(root, template, { kind: 'issuing-signed', nowMs });
}

/**
 * Both links from one root to the next; each root records its own signature. Throws `certificate-invalid` for roots that cannot follow each
 * other.
 */
export async function signRollover(oldRoot: OpenRoot, newRoot: OpenRoot, nowMs: number): Promise<RootLinks> {
  const pair = [oldRoot.certificate, newRoot.certificate] as const;
  const newWithOld = newWithOldTemplate(...pair, randomBytes(16));
  const oldWithNew = oldWithNewTemplate(...pair, randomBytes(16));
  const links = {
    newWithOld: await signRecorded(oldRoot, newWithOld, { kind: 'rollover-old-signed', nowMs }),
    oldWithNew: await signRecorded(newRoot, oldWithNew, { kind: 'rollover-new-signed', nowMs }),
  };
  const problems = rolloverProblems(...pair, links, Math.floor(nowMs / 1_000));
  if (problems.length > 0)
    throw new CoreError('certificate-invalid', `no reader would follow this: ${problems.join('; ')}`);
  return links;
}

/** The root's list: the entries of the earlier one, and these. */
export async function signRootList(
  root: OpenRoot,
  order: {
    readonly earlier: Uint8Array | undefined;
    readonly revoked: readonly RevokedCertificate[];
    readonly days: number;
    readonly nowMs: number;
  },
): Promise<Uint8Array> {
  const { earlier, revoked, days, nowMs } = order;
  const before = earlier === undefined ? undefined : parseCrl(earlier);
  const number = before === undefined ? 1 : Number.parseInt(toHex(before.number), 16) + 1;
  const all = new Map([...(before?.revoked ?? []), ...revoked.map((each) => [textOf(each), each] as const)]);
  const thisUpdateSeconds = Math.floor(nowMs / 1_000);
  const nextUpdateSeconds = thisUpdateSeconds + days * daySeconds;
  const entries = [...all.values()].map(encodeCrlEntry);
  const data = { number: String(number), serials: [...all.keys()].join(' '), nextUpdate: dateText(nextUpdateSeconds) };
  const template = { issuer: root.certificate, number, thisUpdateSeconds, nextUpdateSeconds, entries };
  await record(root, { at: nowMs, kind: 'list-signed', data });
  return encodeCrl(template, root.signer);
}

/** A certificate as the people at a ceremony compare it: one line each. */
export function describeTemplate(template: CertificateTemplate): readonly string[] {
  return [
    `subject      ${nameText(template.subject)}`,
    `issuer       ${nameText(template.issuer)}`,
    `begins       ${dateText(template.notBeforeSeconds)} UTC`,
    `ends         ${dateText(template.notAfterSeconds)} UTC`,
  ];
}

/** SHA-256 of a certificate in groups of four, for reading aloud. */
export function fingerprintText(certificate: Certificate): string {
  return (toHex(certificateDigest(certificate)).match(/.{4}/g) ?? []).join(' ');
}

export function dateText(seconds: number): string {
  return new Date(seconds * 1_000).toISOString().slice(0, 16).replace('T', ' ');
}

async function signRecorded(
  root: OpenRoot,
  template: CertificateTemplate,
  { kind, nowMs }: { readonly kind: CeremonyKind; readonly nowMs: number },
): Promise<Certificate> {
  const certificate = parseCertificate(await issueCertificate(template, root.signer));
  await record(root, { at: nowMs, kind, data: describe(certificate) });
  return certificate;
}

/** The data of a certificate in the record. */
export function describe(certificate: Certificate): Readonly<Record<string, string>> {
  const { basicConstraints } = certificate.extensions;
  return {
    certificate: toHex(certificateDigest(certificate)),
    serial: serialText(certificate),
    subject: nameText(certificate.subject),
    notAfter: dateText(certificate.notAfterSeconds),
    pathLength: String(basicConstraints?.pathLength ?? 'any'),
    ...(classOf(certificate) === undefined ? {} : { class: scopeText(scopeOf(certificate)) }),
  };
}

function inputOf(spki: Uint8Array, { nowSeconds, days }: { readonly nowSeconds: number; readonly days: number }) {
  return {
    spki,
    serialRandom: randomBytes(16),
    notBeforeSeconds: nowSeconds - skewSeconds,
    notAfterSeconds: nowSeconds + days * daySeconds,
  };
}

function textOf({ serial }: RevokedCertificate): string {
  return toHex(serial).replace(/^0+/, '');
}
