// What an issuing CA may issue (spec/authorities.md, "Classes of issuing CAs"): one class of certificates, bound in the CA's own certificate by
// extended key usage, policy and name constraints, so that readers enforce it who know nothing of our classes.
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import type { Certificate } from './certificate.ts';
import { classOf, classOid } from './certificate-class.ts';
import { certificatePolicies, type Extension, extendedKeyUsage, nameConstraints } from './extensions.ts';
import type { GeneralName } from './general-name.ts';
import { extensionOid, keyPurposeOid } from './oid.ts';
import { isTrustDomain } from './spiffe-id.ts';

/** The classes that a hub issues; in the order of a ceremony's file. */
export const issuedClasses = ['server', 'device', 'workload'] as const;
export type IssuedClass = (typeof issuedClasses)[number];

export type IssuingScope =
  | { readonly certificateClass: 'server' | 'device' }
  /** Every certificate names this trust domain. */
  | { readonly certificateClass: 'workload'; readonly trustDomain: string };

const { serverAuth, clientAuth } = keyPurposeOid;
const purposes: Readonly<Record<IssuedClass, readonly [string, ...string[]]>> = {
  server: [serverAuth],
  device: [clientAuth],
  workload: [serverAuth, clientAuth],
};

// RFC 5280 section 4.2.1.10: an empty DNS name is above every other, a mask of zeros covers every address.
const allHosts: readonly GeneralName[] = [
  { kind: 'dns', text: '' },
  { kind: 'ip', bytes: new Uint8Array(8) },
  { kind: 'ip', bytes: new Uint8Array(32) },
];

/** The extensions of the CA's certificate that bind it to its scope. */
export function scopeExtensions(scope: IssuingScope): readonly Extension[] {
  const { certificateClass } = scope;
  const bound = [extendedKeyUsage(...purposes[certificateClass]), certificatePolicies(classOid[certificateClass])];
  // The hub's names change without a ceremony; its key usage keeps this CA from the other classes.
  if (certificateClass === 'server') return bound;
  // A URN has no host, so a constraint on URIs would refuse every device.
  const permitted: readonly GeneralName[] =
    scope.certificateClass === 'workload' ? [{ kind: 'uri', text: scope.trustDomain }] : [];
  return [...bound, nameConstraints({ permitted, excluded: allHosts })];
}

/** What a request for a CA asks for: its class, and the trust domain of workloads. */
export function requestedScope(scope: IssuingScope): readonly Extension[] {
  const asked = certificatePolicies(classOid[scope.certificateClass]);
  if (scope.certificateClass !== 'workload') return [asked];
  // Readers take it for an address, and an address is under no constraint on host names.
  if (/^[\d.]+$/.test(scope.trustDomain))
    throw new CoreError('encoding-invalid', `the trust domain ${scope.trustDomain} looks like an address`);
  return [asked, nameConstraints({ permitted: [{ kind: 'uri', text: scope.trustDomain }], excluded: [] })];
}

/**
 * The scope that a CA's certificate, or the request for it, names; undefined for one without a class. Throws `certificate-invalid` for a class
 * that no hub issues, and for workloads without one trust domain.
 */
export function scopeOf(certificate: Pick<Certificate, 'extensions'>): IssuingScope | undefined {
  const certificateClass = classOf(certificate);
  switch (certificateClass) {
    case undefined:
      return undefined;
    case 'server':
    case 'device':
      return { certificateClass };
    case 'workload': {
      const permitted = certificate.extensions.nameConstraints?.permitted ?? [];
      const [domain] = permitted;
      if (permitted.length !== 1 || domain?.kind !== 'uri' || !isTrustDomain(domain.text))
        throw new CoreError('certificate-invalid', 'a CA for workloads permits URIs of one trust domain');
      return { certificateClass, trustDomain: domain.text };
    }
    case 'consumer':
    case 'service':
      throw new CoreError('certificate-invalid', `there are no issuing CAs for the class ${certificateClass} yet`);
  }
}

/** What a CA's certificate lacks of the bounds of its scope; empty when it has them all, as `scopeExtensions` writes them. */
export function scopeProblems({ extensions }: Certificate, scope: IssuingScope): readonly string[] {
  const problems: string[] = [];
  for (const expected of scopeExtensions(scope)) {
    const found = extensions.all.find(({ oid }) => oid === expected.oid);
    if (found === undefined || !equalBytes(found.value, expected.value))
      problems.push(`${names[expected.oid]} is not that of the class`);
  }
  if (scope.certificateClass === 'server' && extensions.nameConstraints !== undefined)
    problems.push('a CA for servers has no name constraints');
  return problems;
}

const names: Readonly<Record<string, string>> = {
  [extensionOid.extendedKeyUsage]: 'its extended key usage',
  [extensionOid.certificatePolicies]: 'its certificate policy',
  [extensionOid.nameConstraints]: 'its name constraints',
};

/** For people: what the CA may issue. */
export function scopeText(scope: IssuingScope | undefined): string {
  if (scope === undefined) return 'certificates of every kind: a CA as before there were classes';
  if (scope.certificateClass === 'workload') return `workloads of ${scope.trustDomain}, no host`;
  return scope.certificateClass === 'device' ? 'devices, no host' : 'the hub’s servers';
}
