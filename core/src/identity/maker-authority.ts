// The role of a certificate among an operator's makers' certificates (spec/vendor-roots.md, "Roles"): self-signed, signed by another, or
// one that can never certify hardware.
import { printable } from '../canonical/printable.ts';
import { CoreError } from '../error.ts';
import { type Certificate, publicKeyOf } from './certificate.ts';
import { certificateDigests } from './certificate-identity.ts';
import { attributeText, equalNames, nameText } from './distinguished-name.ts';
import { knownRootOf } from './known-makers.ts';
import { attributeOid } from './oid.ts';
import { verifySignature } from './signature-algorithm.ts';

const MAKER_CHARACTERS_MAX = 100;

/** Why a certificate cannot be a maker's authority; undefined when it can. Path validation asks the same of every authority. */
export function authorityProblem({ extensions, version, subject }: Certificate): string | undefined {
  const shown = `"${printable(nameText(subject))}"`;
  const { basicConstraints, keyUsage } = extensions;
  // Old roots have version 1, or only a key usage: for these the operator decides that they are authorities.
  const saidByOperator =
    basicConstraints === undefined && (version === 1 || keyUsage?.includes('keyCertSign') === true);
  if (basicConstraints?.authority !== true && !saidByOperator)
    return `${shown} is not an authority: expected a root or an intermediate, this is the certificate of a device or a server`;
  if (keyUsage !== undefined && !keyUsage.includes('keyCertSign'))
    return `${shown} may not sign certificates: its key usage lacks keyCertSign`;
  return undefined;
}

/** Whether its own key signed it. The name alone is not enough: another key of the same name may have signed, and then it ends no path. */
export function signsItself(certificate: Certificate): boolean {
  const { issuer, subject, signatureScheme, tbs, signature } = certificate;
  if (!equalNames(issuer, subject)) return false;
  try {
    return verifySignature(signatureScheme, publicKeyOf(certificate), tbs, signature);
  } catch (error) {
    // A key that this product does not use signs nothing here.
    if (!(error instanceof CoreError)) throw error;
    return false;
  }
}

/** Its maker: by the shipped fingerprints, or else by its own name. */
export function makerOf(certificate: Certificate): string {
  const { subject, issuer } = certificate;
  const { organization, commonName } = attributeOid;
  const name =
    certificateDigests(certificate).flatMap((sha256) => knownRootOf(sha256)?.maker ?? [])[0] ??
    attributeText(subject, organization) ??
    attributeText(issuer, organization) ??
    attributeText(subject, commonName) ??
    'unnamed';
  return printable(name, MAKER_CHARACTERS_MAX);
}
