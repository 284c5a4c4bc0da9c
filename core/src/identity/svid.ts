// Reads an X.509-SVID (X509-SVID standard, section 5.2): the rules for a leaf besides its path (spec/workload.md).
import { CoreError } from '../error.ts';
import type { Certificate } from './certificate.ts';
import { extensionOid, keyPurposeOid } from './oid.ts';
import { parseSpiffeId, parseWorkloadSpiffeId, type SpiffeId, type WorkloadId } from './spiffe-id.ts';

const bothTlsPurposes = [keyPurposeOid.serverAuth, keyPurposeOid.clientAuth];

/** The text of the one URI in a certificate, if there is exactly one. */
function onlyUri(certificate: Certificate): string | undefined {
  const names = certificate.extensions.subjectAltName?.names ?? [];
  const uris = names.flatMap((name) => (name.kind === 'uri' ? [name.text] : []));
  return uris.length === 1 ? uris[0] : undefined;
}

/** Whether a certificate has any SPIFFE ID; `spiffeIdOf` refuses one that breaks a rule. */
export function claimsSpiffeId(certificate: Certificate): boolean {
  const names = certificate.extensions.subjectAltName?.names ?? [];
  return names.some((name) => name.kind === 'uri' && /^spiffe:/i.test(name.text));
}

/** The SPIFFE ID of this certificate. Call it only on one whose path was validated. Throws `certificate-invalid` with the broken rule. */
export function spiffeIdOf(certificate: Certificate): SpiffeId {
  const { basicConstraints, keyUsage, extendedKeyUsage, all } = certificate.extensions;
  const uri = onlyUri(certificate);
  if (uri === undefined) throw invalid('exactly one URI among the alternative names is expected');
  const id = parseSpiffeId(uri);
  if (id.path.length === 0) throw invalid('a leaf needs a path after its trust domain');
  if (basicConstraints?.authority === true) throw invalid('the certificate of an authority cannot authenticate');
  const isCritical = all.some(({ oid, critical }) => oid === extensionOid.keyUsage && critical);
  if (keyUsage?.includes('digitalSignature') !== true || !isCritical) throw invalid('its key is not for signatures');
  if (keyUsage.includes('keyCertSign') || keyUsage.includes('cRLSign')) throw invalid('its key signs certificates');
  if (extendedKeyUsage !== undefined && !bothTlsPurposes.every((purpose) => extendedKeyUsage.includes(purpose))) {
    throw invalid('it is not for both ends of TLS');
  }
  return id;
}

/** The workload of ours that a certificate identifies; throws as `spiffeIdOf`. */
export function workloadOf(certificate: Certificate): WorkloadId {
  spiffeIdOf(certificate);
  const names = certificate.extensions.subjectAltName?.names ?? [];
  if (names.length > 1) throw invalid('a workload has its SPIFFE ID and no other name');
  return parseWorkloadSpiffeId(onlyUri(certificate) ?? '');
}

function invalid(why: string): CoreError {
  return new CoreError('certificate-invalid', `X.509-SVID: ${why}`);
}
