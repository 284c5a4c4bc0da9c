// The kinds of certificate Edgekeep issues, as templates for `issueCertificate`:
// root -> issuing authority (it may issue no further authorities) -> hub server, OCSP responder, device (IEEE 802.1AR LDevID), workload (X.509-SVID).
import type { Certificate } from './certificate.ts';
import { type CertificateClass, classOid } from './certificate-class.ts';
import { deviceUri } from './device-id.ts';
import { commonNameOnly, type DistinguishedName, encodeName } from './distinguished-name.ts';
import {
  authorityKeyIdentifier,
  basicConstraints,
  certificatePolicies,
  crlDistributionPoint,
  extendedKeyUsage,
  keyUsage,
  ocspAccess,
  ocspNoCheck,
  subjectAltName,
  subjectKeyIdentifier,
} from './extensions.ts';
import { type GeneralName, parseIpAddress } from './general-name.ts';
import type { CertificateTemplate } from './issue.ts';
import { type IssuingScope, scopeExtensions } from './issuing-scope.ts';
import { attributeOid, keyPurposeOid } from './oid.ts';
import { keyIdentifierOf } from './public-key.ts';
import { type WorkloadId, workloadSpiffeId } from './spiffe-id.ts';

/** What every profile needs: the key, a serial number, and the period (Unix seconds). */
export interface ProfileInput {
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array;
  /** 16 random octets. */
  readonly serialRandom: Uint8Array;
  readonly notBeforeSeconds: number;
  readonly notAfterSeconds: number;
  /** Public addresses for the revocation status; nothing is written for addresses that are left out. */
  readonly statusUrls?: StatusUrls | undefined;
}

export interface StatusUrls {
  readonly crl: string;
  readonly ocsp: string;
}

/** A self-signed root: sign it with the key of `spki`. */
export function rootProfile(input: ProfileInput, subject: DistinguishedName): CertificateTemplate {
  const identifier = keyIdentifierOf(input.spki);
  return {
    ...input,
    issuer: subject,
    subject,
    extensions: [basicConstraints(true), keyUsage('keyCertSign', 'cRLSign'), subjectKeyIdentifier(identifier)],
  };
}

/** An issuing authority below `issuer`, with path length 0; without a scope, as before there were classes, it issues for all of them. */
export function issuingAuthorityProfile(
  input: ProfileInput,
  issuer: Certificate,
  subject: DistinguishedName,
  scope?: IssuingScope,
): CertificateTemplate {
  return {
    ...input,
    issuer: issuer.subject,
    subject,
    extensions: [
      basicConstraints(true, 0),
      keyUsage('keyCertSign', 'cRLSign'),
      ...(scope === undefined ? [] : scopeExtensions(scope)),
      subjectKeyIdentifier(keyIdentifierOf(input.spki)),
      authorityKeyIdentifier(identifierOf(issuer)),
    ],
  };
}

/** The hub's server certificate. `ipAddresses` are texts; the first DNS name (or address) is also the common name. */
export function serverProfile(
  input: ProfileInput,
  issuer: Certificate,
  names: { readonly dnsNames: readonly string[]; readonly ipAddresses: readonly string[] },
): CertificateTemplate {
  const alternatives: readonly GeneralName[] = [
    ...names.dnsNames.map((text) => ({ kind: 'dns' as const, text })),
    ...names.ipAddresses.map((text) => ({ kind: 'ip' as const, bytes: parseIpAddress(text) })),
  ];
  const subject = commonNameOnly(names.dnsNames[0] ?? names.ipAddresses[0] ?? '');
  const named = { subject, alternatives, certificateClass: 'server' } as const;
  return endEntity(input, issuer, named, keyPurposeOid.serverAuth);
}

/**
 * The certificate of an OCSP responder that answers for `issuer` (RFC 6960 section 4.2.2.2). Give it a short life: its revocation is never
 * checked.
 */
export function ocspResponderProfile(
  input: ProfileInput,
  issuer: Certificate,
  subject: DistinguishedName,
): CertificateTemplate {
  const identifier = keyIdentifierOf(input.spki);
  return {
    ...input,
    issuer: issuer.subject,
    subject,
    extensions: [
      basicConstraints(false),
      keyUsage('digitalSignature'),
      extendedKeyUsage(keyPurposeOid.ocspSigning),
      ocspNoCheck(),
      subjectKeyIdentifier(identifier),
      authorityKeyIdentifier(identifierOf(issuer)),
    ],
  };
}

/** A device's operational certificate (LDevID): for TLS client authentication only. */
export function deviceProfile(input: ProfileInput, issuer: Certificate, deviceId: string): CertificateTemplate {
  const alternatives: readonly GeneralName[] = [{ kind: 'uri', text: deviceUri(deviceId) }];
  const named = { subject: commonNameOnly(deviceId), alternatives, certificateClass: 'device' } as const;
  return endEntity(input, issuer, named, keyPurposeOid.clientAuth);
}

/**
 * A workload's certificate, an X.509-SVID: for both ends of TLS, with the SPIFFE ID as its only name (spec/workload.md). The subject names
 * the class and nobody: a common name is a host name to readers from before RFC 9525.
 */
export function workloadProfile(input: ProfileInput, issuer: Certificate, id: WorkloadId): CertificateTemplate {
  const alternatives: readonly GeneralName[] = [{ kind: 'uri', text: workloadSpiffeId(id) }];
  const { serverAuth, clientAuth } = keyPurposeOid;
  const named = { subject: workloadSubject, alternatives, certificateClass: 'workload' } as const;
  return endEntity(input, issuer, named, serverAuth, clientAuth);
}

const workloadSubject = encodeName([{ oid: attributeOid.organization, text: 'Edgekeep workload' }]);

interface Named {
  readonly subject: DistinguishedName;
  readonly alternatives: readonly GeneralName[];
  readonly certificateClass: CertificateClass;
}

function endEntity(
  input: ProfileInput,
  issuer: Certificate,
  { subject, alternatives, certificateClass }: Named,
  ...purposes: readonly [string, ...string[]]
): CertificateTemplate {
  return {
    ...input,
    issuer: issuer.subject,
    subject,
    extensions: [
      basicConstraints(false),
      keyUsage('digitalSignature'),
      extendedKeyUsage(...purposes),
      certificatePolicies(classOid[certificateClass]),
      subjectAltName(alternatives),
      subjectKeyIdentifier(keyIdentifierOf(input.spki)),
      authorityKeyIdentifier(identifierOf(issuer)),
      ...(input.statusUrls === undefined
        ? []
        : [crlDistributionPoint(input.statusUrls.crl), ocspAccess(input.statusUrls.ocsp)]),
    ],
  };
}

function identifierOf(issuer: Certificate): Uint8Array {
  return issuer.extensions.subjectKeyIdentifier ?? keyIdentifierOf(issuer.spki);
}
