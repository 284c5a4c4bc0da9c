// Certificates of TPM endorsement keys (TCG EK Credential Profile for TPM Family 2.0, section 3.2): the maker certifies that a key is in a
// TPM of a certain manufacturer, model and firmware version.
import { CoreError } from '../error.ts';
import { type Certificate, publicKeyOf } from './certificate.ts';
import { attributeText } from './distinguished-name.ts';
import { attributeOid } from './oid.ts';
import { dateText, type PathInput, validatePath, validityReasons } from './path.ts';

export interface TpmIdentity {
  /** `id:` and eight hex digits of the TCG vendor id, for example `id:49465800` for Infineon. */
  readonly manufacturer: string;
  readonly model: string;
  /** `id:` and the firmware version in hex. */
  readonly version: string;
}

/**
 * The time at which the chain of an endorsement certificate is judged. TPMs outlive the authorities that certified them: `issuance` asks
 * whether the chain was valid when the certificate begins. In both cases the endorsement certificate itself must be valid now.
 */
export type EndorsementTime = 'now' | 'issuance';

export interface EndorsementInput extends Omit<PathInput, 'purpose'> {
  /** `now` when left out. `atSeconds` is the present time. */
  readonly judgedAt?: EndorsementTime | undefined;
}

export type EndorsementResult =
  | {
      readonly kind: 'valid';
      readonly chain: readonly Certificate[];
      readonly tpm: TpmIdentity;
      /** Unix seconds for which the chain was judged. */
      readonly judgedAtSeconds: number;
      /** The exceptions behind the verdict: authorities that have ended since. Empty when the chain is valid now. */
      readonly notes: readonly string[];
    }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Validates an endorsement key certificate up to one of the vendor roots that the operator trusts. */
export function validateEndorsement(input: EndorsementInput): EndorsementResult {
  const { judgedAt = 'now', leaf, atSeconds: nowSeconds } = input;
  const judgedAtSeconds = judgedAt === 'now' ? nowSeconds : Math.min(leaf.notBeforeSeconds, nowSeconds);
  const path = validatePath({ ...input, atSeconds: judgedAtSeconds, purpose: 'endorsement-key' });
  const reasons = [
    ...(path.kind === 'refused' ? path.reasons : []),
    ...(judgedAt === 'now' ? [] : validityReasons(leaf, nowSeconds)),
    ...profileReasons(leaf),
  ];
  const tpm = tpmIdentityOf(leaf);
  if (path.kind === 'refused' || tpm === undefined || reasons.length > 0)
    return { kind: 'refused', reasons: [...new Set(reasons)] };
  const { chain } = path;
  const ended = chain.flatMap((certificate) => validityReasons(certificate, nowSeconds));
  const judged = `the chain is judged at ${dateText(judgedAtSeconds)}, when the endorsement certificate begins`;
  const notes = ended.map((text) => `${text}; ${judged}`);
  return { kind: 'valid', chain, tpm, judgedAtSeconds, notes };
}

/** The TPM's description in the certificate's alternative name; undefined if it is incomplete. */
function tpmIdentityOf(certificate: Certificate): TpmIdentity | undefined {
  for (const name of certificate.extensions.subjectAltName?.names ?? []) {
    if (name.kind !== 'directory') continue;
    const manufacturer = attributeText(name.name, attributeOid.tpmManufacturer);
    const model = attributeText(name.name, attributeOid.tpmModel);
    const version = attributeText(name.name, attributeOid.tpmVersion);
    if (manufacturer !== undefined && model !== undefined && version !== undefined)
      return { manufacturer, model, version };
  }
  return undefined;
}

function profileReasons(certificate: Certificate): readonly string[] {
  const { basicConstraints, keyUsage, subjectAltName } = certificate.extensions;
  const reasons: string[] = [];
  const tpm = tpmIdentityOf(certificate);
  if (tpm === undefined) {
    reasons.push('the alternative name does not give TPM manufacturer, model and version');
  } else if (!/^id:[0-9A-Fa-f]{8}$/.test(tpm.manufacturer)) {
    reasons.push(
      `the TPM manufacturer is not "id:" and eight hex digits: ${JSON.stringify(tpm.manufacturer.slice(0, 64))}`,
    );
  }
  // Parsing has refused an empty subject with an alternative name that is not critical.
  if (subjectAltName === undefined) reasons.push('no subject alternative name');
  if (basicConstraints?.authority === true) reasons.push('an endorsement key is never an authority');
  const kind = keyKind(certificate);
  const usage = kind === 'rsa' ? 'keyEncipherment' : 'keyAgreement';
  if (kind !== 'rsa' && kind !== 'ec') reasons.push(`an endorsement key is RSA or EC, this one is ${kind}`);
  else if (keyUsage?.includes(usage) !== true)
    reasons.push(`the key usage of an ${kind} endorsement key lacks ${usage}`);
  return reasons;
}

function keyKind(certificate: Certificate): string {
  try {
    return publicKeyOf(certificate).asymmetricKeyType ?? 'unknown';
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return 'unknown';
  }
}
