// OMS method `certificate`: the bundle contains the signer's certificate and its authorities; the reader supplies the trusted ones and the
// time. Unlike the reference implementation, which sets the clock to the certificate's own notBefore, dates are enforced.
import type { KeyObject } from 'node:crypto';
import { equalBytes } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { type Certificate, parseForeignCertificate, publicKeyOf } from '../../identity/certificate.ts';
import { nameText } from '../../identity/distinguished-name.ts';
import { keyPurposeOid } from '../../identity/oid.ts';
import { dateText, validatePath } from '../../identity/path.ts';
import { assertSigningKey } from './key-mode.ts';
import { refused, type SignatureRefused } from './reason.ts';

export type SigningChain =
  | { readonly kind: 'trusted'; readonly key: KeyObject; readonly subject: string }
  | SignatureRefused;

/** `certificates` are DER, the signer's first; `atSeconds` is Unix time. Throws `certificate-invalid` for invalid certificates. */
export function verifySigningChain(
  certificates: readonly Uint8Array[],
  anchors: readonly Certificate[],
  atSeconds: number,
): SigningChain {
  const [leaf, ...intermediates] = certificates.map((der) => parseForeignCertificate(der));
  if (leaf === undefined) throw new CoreError('signature-bundle-invalid', 'a certificate chain without a certificate');
  return (
    periodRefusal(leaf, atSeconds) ??
    usageRefusal(leaf) ??
    trustRefusal(leaf, intermediates, anchors, atSeconds) ??
    signingKey(leaf)
  );
}

function periodRefusal(leaf: Certificate, atSeconds: number): SignatureRefused | undefined {
  if (atSeconds > leaf.notAfterSeconds) {
    return refused('certificate-expired', `${shown(leaf)} expired at ${dateText(leaf.notAfterSeconds)}`);
  }
  if (atSeconds < leaf.notBeforeSeconds) {
    return refused(
      'certificate-not-yet-valid',
      `${shown(leaf)} is not valid before ${dateText(leaf.notBeforeSeconds)}`,
    );
  }
  return undefined;
}

// The key must be meant for signing: by key usage, by key purpose, and never against either. The certificate may also be an authority: the
// certificates of the reference implementation's own tests are.
function usageRefusal(leaf: Certificate): SignatureRefused | undefined {
  const { keyUsage, extendedKeyUsage } = leaf.extensions;
  const purposes: readonly string[] = [keyPurposeOid.codeSigning, keyPurposeOid.any];
  if (keyUsage !== undefined && !keyUsage.includes('digitalSignature')) {
    return refused('certificate-usage', `${shown(leaf)}: its key usage lacks digitalSignature`);
  }
  if (extendedKeyUsage !== undefined && !extendedKeyUsage.some((purpose) => purposes.includes(purpose))) {
    return refused('certificate-usage', `${shown(leaf)}: its extended key usage lacks codeSigning`);
  }
  if (keyUsage === undefined && extendedKeyUsage === undefined) {
    return refused('certificate-usage', `${shown(leaf)}: neither key usage nor extended key usage says that it signs`);
  }
  return undefined;
}

function trustRefusal(
  leaf: Certificate,
  intermediates: readonly Certificate[],
  anchors: readonly Certificate[],
  atSeconds: number,
): SignatureRefused | undefined {
  // A self-signed certificate has no path: the reader trusts this very certificate, or not.
  const isAnchor = anchors.some(({ der }) => equalBytes(der, leaf.der));
  if (isAnchor && leaf.extensions.unknownCritical.length === 0) return undefined;
  const path = validatePath({ leaf, intermediates, anchors, atSeconds, purpose: 'any' });
  return path.kind === 'valid' ? undefined : refused('certificate-untrusted', path.reasons.join('; '));
}

function signingKey(leaf: Certificate): SigningChain {
  try {
    const key = publicKeyOf(leaf);
    assertSigningKey(key);
    return { kind: 'trusted', key, subject: nameText(leaf.subject) };
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return refused('unsupported-method', `${shown(leaf)}: ${error.message}`);
  }
}

function shown({ subject }: Certificate): string {
  return JSON.stringify(nameText(subject));
}
