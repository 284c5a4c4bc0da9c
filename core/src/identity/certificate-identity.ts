// What a certificate is compared, listed and blocked by (docs/design/identities.md): the SHA-256 of TBSCertificate, which its signature
// covers. A digest of the whole certificate is no identity: from an ECDSA signature (r, s) anybody can make (r, n - s), and both verify.
import { sha256Hex } from '../digest.ts';
import type { Certificate } from './certificate.ts';
import { otherForms } from './certificate-forms.ts';

/** SHA-256 of TBSCertificate, hex: the same for every form of the signature. */
export function certificateIdentity({ tbs }: Pick<Certificate, 'tbs'>): string {
  return sha256Hex(tbs);
}

/**
 * Every digest that people may have written down for this certificate: its identity first, then the SHA-256 of the whole certificate in each
 * form that its signature can have.
 */
export function certificateDigests(certificate: Certificate): readonly string[] {
  const forms = [certificate.der, ...otherForms(certificate)];
  return [...new Set([certificateIdentity(certificate), ...forms.map((der) => sha256Hex(der))])];
}
