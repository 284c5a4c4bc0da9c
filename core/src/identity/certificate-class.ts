// The class of a certificate (spec/certificates.md, "Classes"): whom it is for, as one certificate policy (RFC 5280 section 4.2.1.4) under an
// arc of our own (X.667). An issuing CA names the one class that it issues for. A certificate of one class never counts as another.
import { CoreError } from '../error.ts';
import type { Certificate } from './certificate.ts';

/** `consumer` and `service` have a number and are not issued yet. */
const certificateClasses = ['server', 'device', 'workload', 'consumer', 'service'] as const;
export type CertificateClass = (typeof certificateClasses)[number];

// UUID 0b9825d3-e62e-49bc-92ef-2161fb742b35.
const arc = '2.25.15411504313666505080999923435114343221';

/** The policy of each class. */
export const classOid: Readonly<Record<CertificateClass, string>> = {
  server: `${arc}.1`,
  device: `${arc}.2`,
  workload: `${arc}.3`,
  consumer: `${arc}.4`,
  service: `${arc}.5`,
};

/**
 * The class that a certificate names; undefined when it names none, as certificates from before there were classes. Throws
 * `certificate-invalid` for two classes, and for one that this version does not know.
 */
export function classOf({ extensions }: Pick<Certificate, 'extensions'>): CertificateClass | undefined {
  const named = (extensions.certificatePolicies ?? []).filter((oid) => oid.startsWith(`${arc}.`));
  const [oid, ...more] = named;
  if (oid === undefined) return undefined;
  const found = certificateClasses.find((each) => classOid[each] === oid);
  if (more.length > 0) throw new CoreError('certificate-invalid', 'certificate: it names more than one class');
  if (found === undefined) throw new CoreError('certificate-invalid', `certificate: the class ${oid} is not known`);
  return found;
}

/**
 * Why a certificate is none of this class; undefined when it is one. `issuer` has signed it. A certificate without a class counts only under
 * an issuer without one: its other fields then say what it is for.
 */
export function classProblem(
  leaf: Certificate,
  issuer: Pick<Certificate, 'extensions'>,
  expected: CertificateClass,
): string | undefined {
  try {
    const own = classOf(leaf);
    const above = classOf(issuer);
    if (above !== undefined && above !== expected) return `its issuer issues for the class ${above}, not ${expected}`;
    if (own === expected || (own === undefined && above === undefined)) return undefined;
    return `it is of ${own === undefined ? 'no class' : `the class ${own}`}, expected ${expected}`;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return error.message;
  }
}
