// Proof that the enrolling device has the key of an IDevID (spec/manufacture.md, "Proof at enrollment"): a signature over the hub's nonce,
// the new operational key and the root of trust's description; for a TPM also its statement that it made the key.
import { createHash, type KeyObject, verify } from 'node:crypto';
import type { AttestationKey } from './quote.ts';
import { NONCE_LENGTH } from './qualifying-data.ts';
import { concat, equalBytes, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, type Json } from '../json.ts';
import { parseAttest } from '../tpm/attest.ts';
import { objectAttributes, parsePublic, publicKeyOf, tpmName } from '../tpm/public-area.ts';
import { parseTpmSignature, untriedReason, verifyTpmSignature } from '../tpm/signature.ts';

/**
 * What a proof is made for, and the label that its message begins with. `former` is an enrollment by an agent of the version before;
 * `manufacture` never leaves the production line.
 */
const labels = {
  enroll: 'edgekeep-idevid-v2',
  manufacture: 'edgekeep-manufacture-v1',
  former: 'edgekeep-idevid-v1',
} as const;

/** The data of one enrollment, or of one device on the production line. */
export interface IdevidProofSubject {
  readonly use: keyof typeof labels;
  /** 32 bytes: for `enroll` the qualifying data of the enrollment's evidence, otherwise the verifier's nonce. */
  readonly nonce: Uint8Array;
  /** DER SubjectPublicKeyInfo of the operational key. */
  readonly operationalSpki: Uint8Array;
  readonly deviceId: string;
  /** The identity document of the enrollment, as it was sent. */
  readonly identity: Json;
}

/** The TPM's statement that the key is its own. */
export interface IdevidResidency {
  /** TPM2B_PUBLIC of the IDevID key. */
  readonly publicArea: Uint8Array;
  /** TPMS_ATTEST of TPM2_CertifyCreation, over `idevidProofDigest`. */
  readonly attest: Uint8Array;
  /** TPMT_SIGNATURE over it by the attestation key. */
  readonly signature: Uint8Array;
}

export interface IdevidProof {
  /** DER ECDSA P-256 SHA-256 over `idevidProofMessage`, by the IDevID key. */
  readonly signature: Uint8Array;
  readonly residency?: IdevidResidency | undefined;
}

/** What the IDevID key signs. The label at its start separates the signature from all others in this product. */
export function idevidProofMessage({
  use,
  nonce,
  operationalSpki,
  deviceId,
  identity,
}: IdevidProofSubject): Uint8Array {
  if (nonce.length !== NONCE_LENGTH) {
    throw new CoreError('evidence-invalid', `a nonce has ${NONCE_LENGTH} bytes, found ${nonce.length}`);
  }
  const claimed = encodeCanonicalJson({ deviceId, identity });
  return concat(utf8(labels[use]), Uint8Array.of(0), nonce, sha256(operationalSpki), sha256(claimed));
}

/** What the TPM attests its creation over. */
export function idevidProofDigest(subject: IdevidProofSubject): Uint8Array {
  return sha256(idevidProofMessage(subject));
}

export type IdevidProofReasonCode = 'idevid-not-possessed' | 'idevid-residency-missing' | 'idevid-not-in-this-tpm';

export type IdevidProofVerdict =
  | { readonly kind: 'verified' }
  | { readonly kind: 'refused'; readonly code: IdevidProofReasonCode; readonly message: string };

/**
 * Verifies the proof of an IDevID key. With `attestationKey`, of a TPM whose endorsement was proven, the IDevID key must be in the same
 * TPM. Broken TPM structures throw as their parsers do.
 */
export function verifyIdevidProof(
  { signature, residency }: IdevidProof,
  expected: {
    readonly publicKey: KeyObject;
    readonly subject: IdevidProofSubject;
    readonly attestationKey: AttestationKey | undefined;
  },
): IdevidProofVerdict {
  const { publicKey, subject, attestationKey } = expected;
  if (!verify('sha256', idevidProofMessage(subject), publicKey, signature)) {
    return refused(
      'idevid-not-possessed',
      'the signature over nonce, operational key and identity is not one of the IDevID key: copied, replayed or altered',
    );
  }
  if (attestationKey === undefined) return { kind: 'verified' };
  if (residency === undefined)
    return refused('idevid-residency-missing', 'a TPM must certify that it made the IDevID key');
  const problem = residencyProblem(residency, publicKey, idevidProofDigest(subject), attestationKey);
  return problem === undefined ? { kind: 'verified' } : refused('idevid-not-in-this-tpm', problem);
}

function residencyProblem(
  { publicArea: bytes, attest: attested, signature }: IdevidResidency,
  idevidKey: KeyObject,
  digest: Uint8Array,
  { publicKey, qualifiedName }: AttestationKey,
): string | undefined {
  const publicArea = parsePublic(bytes);
  if (!publicKeyOf(publicArea).equals(idevidKey)) return 'the public area is one of another key than the certificate';
  const { fixedTpm, fixedParent, sensitiveDataOrigin } = objectAttributes;
  const wanted = fixedTpm | fixedParent | sensitiveDataOrigin;
  if ((publicArea.attributes & wanted) !== wanted) return 'the IDevID key is not bound to the TPM it was made in';
  // The attestation key signs structures of this form only for its own TPM.
  const parsed = parseTpmSignature(signature);
  if (!verifyTpmSignature(parsed, attested, publicKey)) {
    const untried = untriedReason(parsed, publicKey);
    if (untried !== undefined) return `the signature over the creation: ${untried}`;
    return 'the creation was certified by another key than the attestation key of this TPM';
  }
  const attest = parseAttest(attested);
  if (attest.kind !== 'creation') return `the attestation is a ${attest.kind}, expected one of a creation`;
  if (qualifiedName === undefined || !equalBytes(attest.qualifiedSigner, qualifiedName))
    return 'the creation was certified by another key than the attestation key of this TPM';
  if (!equalBytes(attest.extraData, digest)) return 'the certification is of another enrollment: old, or replayed';
  if (!equalBytes(attest.name, tpmName(publicArea))) return 'this TPM certified the creation of another key';
  return undefined;
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

function refused(code: IdevidProofReasonCode, message: string): IdevidProofVerdict {
  return { kind: 'refused', code, message };
}
