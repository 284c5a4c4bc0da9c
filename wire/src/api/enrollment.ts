// The messages of a device that enrolls, renews its certificate or comes back (spec/api.md, "Device API"). Bytes are unpadded base64url.
import { certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { evidenceSchema } from '@edgekeep/core/attest/evidence';
import { z } from 'zod';
import { base64url, certificateBytes, nonceBytes, tpmBytes } from './bytes.ts';
import { deviceIdSchema, deviceIdentitySchema } from './device.ts';

/** Absent in a message of the version before, whose evidence has the purpose `certify` (docs/upgrading.md). */
const version = z.literal(certifyVersion).optional();

export const enrollChallengeRequest = z.strictObject({
  version,
  deviceId: deviceIdSchema,
  token: z.string().min(1).max(128).optional(),
  identity: deviceIdentitySchema,
  /** The identity from the manufacturer (spec/manufacture.md): DER, the IDevID first, then its issuers. */
  idevid: z.strictObject({ chain: z.array(certificateBytes).min(1).max(4) }).optional(),
});

export const enrollChallengeResponse = z.object({
  nonce: nonceBytes,
  /** Only for a TPM: MakeCredential's two parts for TPM2_ActivateCredential. */
  credential: z.object({ blob: tpmBytes, encryptedSecret: tpmBytes }).optional(),
  /** Only for a secure element: a secret that opens with its agreement key, as a wrapped key of kind `hpke`. */
  agreement: z.object({ encapsulatedKey: base64url(2_048), ciphertext: base64url(200) }).optional(),
  pcrs: z.array(z.int().min(0).max(23)),
});

const idevidProof = z.strictObject({
  /** DER ECDSA over the message of spec/manufacture.md, "Proof at enrollment". */
  signature: base64url(6_400),
  /** TPM2B_PUBLIC, TPMS_ATTEST and TPMT_SIGNATURE of TPM2_CertifyCreation; from a TPM only. */
  residency: z.strictObject({ publicArea: tpmBytes, attest: tpmBytes, signature: tpmBytes }).optional(),
});

export type IdevidProofDocument = z.infer<typeof idevidProof>;

export const enrollCompleteRequest = z.strictObject({
  /** The result of TPM2_ActivateCredential; absent for a software device. */
  credentialSecret: base64url(100).optional(),
  /** The opened secret of `agreement`; only where the challenge had one. */
  agreementSecret: base64url(100).optional(),
  /** DER PKCS#10. */
  certificateRequest: base64url(12_000),
  /** Over certifyQualifyingData('enroll', …). */
  evidence: evidenceSchema,
  /** A C2SP witness vkey: the device will cosign checkpoints under it. */
  witnessKey: z.string().max(4_096),
  /** Proof that the device has the key of the IDevID; only with an IDevID. */
  idevidProof: idevidProof.optional(),
});

export const certificateResponse = z.object({
  deviceId: deviceIdSchema,
  /** PEM, the device's certificate first, then the issuing CA. */
  certificateChain: z.string().max(80_000),
});

/** Over certifyQualifyingData('renew', …), or `recover`. */
export const renewRequest = z.strictObject({
  version,
  certificateRequest: base64url(12_000),
  evidence: evidenceSchema,
});

/** A restarted device, without a certificate: the id that it claims. `renewRequest` completes it on the same connection. */
export const recoverChallengeRequest = z.strictObject({ deviceId: deviceIdSchema });
