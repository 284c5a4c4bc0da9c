// The messages between a device and the hub (spec/api.md, "Device API"): what the hub accepts and what an agent reads, in one place.
// Bytes are unpadded base64url; times are unix seconds.
import { evidenceSchema } from '@edgekeep/core/attest/evidence';
import { IMA_PIECE_BYTES_MAX } from '@edgekeep/core/attest/ima-log';
import { leaseSchema } from '@edgekeep/core/access/lease';
import { wrappedKeySchema } from '@edgekeep/core/access/wrapped-key';
import { endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import { z } from 'zod';
import { reportedAttributesSchema } from './attributes.ts';
import { guardReport } from './guard-report.ts';
import { modelReport, modelRetry, REPORTED_MODELS_MAX } from './model-report.ts';

const base64url = (maxCharacters: number) =>
  z
    .string()
    .max(maxCharacters)
    .regex(/^[A-Za-z0-9_-]*$/);
// Keys and credentials of a TPM are below 1 KiB, certificates below 4 KiB, a CSR below 2 KiB.
const small = base64url(1_400);
const certificate = base64url(6_000);
const nonce = base64url(43);
const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case');

export const deviceIdSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

export const deviceIdentitySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tpm'),
    endorsementKey: small,
    endorsementKeyKind: z.enum(endorsementKeyKinds),
    /** DER, the endorsement certificate first, then the issuers that the TPM stores. */
    endorsementCertificates: z.array(certificate).min(1).max(5),
    attestationKey: small,
  }),
  z.strictObject({ kind: z.literal('secure-element'), signingKey: small, encryptionKey: small }),
  /** DER, the DeviceID certificate first, then its issuers, if the device has them (spec/dice.md). */
  z.strictObject({ kind: z.literal('dice'), deviceIdCertificates: z.array(certificate).min(1).max(5) }),
  z.strictObject({ kind: z.literal('software'), signingKey: small, encryptionKey: small }),
]);
export type DeviceIdentity = z.infer<typeof deviceIdentitySchema>;

export const enrollChallengeRequest = z.strictObject({
  deviceId: deviceIdSchema,
  token: z.string().min(1).max(128).optional(),
  identity: deviceIdentitySchema,
  /** The identity from the manufacturer (spec/manufacture.md): DER, the IDevID first, then its issuers. */
  idevid: z.strictObject({ chain: z.array(certificate).min(1).max(4) }).optional(),
});

export const enrollChallengeResponse = z.object({
  nonce,
  /** Only for a TPM: MakeCredential's two parts for TPM2_ActivateCredential. */
  credential: z.object({ blob: small, encryptedSecret: small }).optional(),
  pcrs: z.array(z.int().min(0).max(23)),
});

const idevidProof = z.strictObject({
  /** DER ECDSA over the message of spec/manufacture.md, "Proof at enrollment". */
  signature: base64url(200),
  /** TPM2B_PUBLIC, TPMS_ATTEST and TPMT_SIGNATURE of TPM2_CertifyCreation; from a TPM only. */
  residency: z.strictObject({ publicArea: small, attest: small, signature: small }).optional(),
});
export type IdevidProofDocument = z.infer<typeof idevidProof>;

export const enrollCompleteRequest = z.strictObject({
  /** The result of TPM2_ActivateCredential; absent for a software device. */
  credentialSecret: base64url(100).optional(),
  /** DER PKCS#10. */
  certificateRequest: base64url(3_000),
  /** Over qualifyingData('certify', nonce, SPKI of the request). */
  evidence: evidenceSchema,
  /** A C2SP witness vkey: the device will cosign checkpoints under it. */
  witnessKey: z.string().max(300),
  /** Proof that the device has the key of the IDevID; only with an IDevID. */
  idevidProof: idevidProof.optional(),
});

export const certificateResponse = z.object({
  deviceId: deviceIdSchema,
  /** PEM, the device's certificate first, then the issuing CA. */
  certificateChain: z.string().max(20_000),
});

export const bindRequest = z.strictObject({
  /** Over qualifyingData('bind', zero nonce, TLS exporter). */
  evidence: evidenceSchema,
});
/** How much of this device's IMA log the hub has appraised, and in which boot: it needs only the rest (spec/evidence.md). */
const imaLogKnown = z.object({ entries: z.int().min(1), resetCount: z.int(), restartCount: z.int() });
export type ImaLogKnown = z.infer<typeof imaLogKnown>;

export const bindResponse = z.object({
  deviceId: deviceIdSchema,
  state: z.string(),
  /**
   * What the hub makes of this evidence; its nonce is the evidence's qualifying data. Left out by a hub of the version before, and where the policy does
   * not permit the device to attest. A device of the version before passes over it.
   */
  attestationResult: z.string().optional(),
  imaLog: imaLogKnown.optional(),
});

export const challengeResponse = z.object({
  nonce,
  pcrs: z.array(z.int().min(0).max(23)),
  expiresInSeconds: z.int(),
  imaLog: imaLogKnown.optional(),
});

/** A piece of an IMA log that is too long for evidence; the evidence that follows on this connection carries the rest. */
export const imaLogRequest = z.strictObject({
  /** How many entries come before this piece. */
  from: z.int().min(0).max(Number.MAX_SAFE_INTEGER),
  log: base64url(Math.ceil((IMA_PIECE_BYTES_MAX * 4) / 3)),
});
export const imaLogResponse = z.object({ entries: z.int() });

export const renewRequest = z.strictObject({ certificateRequest: base64url(3_000), evidence: evidenceSchema });

/** A restarted device, without a certificate: the id that it claims. `renewRequest` completes it on the same connection. */
export const recoverChallengeRequest = z.strictObject({ deviceId: deviceIdSchema });

export const attestRequest = z.strictObject({ evidence: evidenceSchema });
export const attestResponse = z.object({ attestationResult: z.string(), state: z.string() });

/**
 * With this header a device declares that it can read salted entries in receipts (spec/audit-log.md); a hub of the previous version ignores
 * it.
 */
export const entryVersionHeader = 'edgekeep-entry-version';
export const saltedEntryVersion = '2';

export const releaseRequest = z.strictObject({
  model: z.string().max(64),
  version: z.string().max(64),
  /** Over qualifyingData('release', nonce, TLS exporter). */
  evidence: evidenceSchema,
  /** TPM2_NV_Certify of the lease counter over the same data, if the device has one: TPMS_ATTEST and TPMT_SIGNATURE. */
  leaseCounter: z.strictObject({ attest: small, signature: small }).optional(),
});
export const releaseResponse = z.object({
  lease: leaseSchema,
  wrappedKey: wrappedKeySchema,
  attestationResult: z.string(),
  /** The release receipt, base64url of the JSON file. */
  receipt: z.string(),
});

export const modelFile = z.object({ path: z.string(), sealedSize: z.int().min(0), sealedSha256: sha256Hex });
export const modelResponse = z.object({
  name: z.string(),
  version: z.string(),
  manifestDigest: sha256Hex,
  manifest: z.string(),
  /** The OMS bundle, as JSON text. */
  signature: z.string(),
  files: z.array(modelFile),
});

export const checkpointResponse = z.object({
  /** The signed note. */
  checkpoint: z.string(),
  /** Consistency proof from the requested size, base64 hashes. */
  consistency: z.array(z.string()),
});
export const cosignatureRequest = z.strictObject({
  /** The checkpoint's signed note with this device's cosignature line added. */
  checkpoint: z.string().max(100_000),
});

const count = z.int().min(0);
/** Entries of the audit log with the calling device as subject or actor, from an index on. */
export const ownEntries = z.object({
  entries: z.array(z.object({ index: z.number(), entry: z.string() })),
  next: z.number().nullable(),
});

export const reportRequest = z.strictObject({
  /** Guard counts per model since the guard started; never inputs. */
  counts: z
    .array(
      z.strictObject({
        model: z.string().max(64),
        version: z.string().max(64),
        accepted: count,
        fallback: count,
        review: count,
        failed: count,
      }),
    )
    .max(64)
    .optional(),
  /** A portable proof that this hub's log forked (edgekeep-fork-proof/v1). */
  forkProof: z.string().max(100_000).optional(),
  /** The reported attributes, the whole document each time (spec/registry.md). */
  attributes: reportedAttributesSchema.optional(),
  /** The models that it should run, and their state on it. */
  models: z.array(modelReport).max(REPORTED_MODELS_MAX).optional(),
  /** How far its clock is ahead of the hub's, measured at the newest answer. */
  clockSkewSeconds: z.int().min(-1e10).max(1e10).optional(),
  /** Left out by a device that runs no guard. */
  guard: guardReport.optional(),
  /** The version of the desired attributes it has; 0 for none. With it, the answer contains a newer version, if there is one. */
  desiredVersion: z.int().min(0).optional(),
});
export const reportResponse = z.object({
  accepted: z.boolean(),
  desired: z.object({ version: z.int(), attributes: z.record(z.string(), z.unknown()) }).optional(),
  /** Models that operators want the device to try again. */
  retry: z.array(modelRetry).optional(),
});

/** From a device that signs tokens (spec/device-token.md). */
export const tokenReportRequest = z.strictObject({ message: z.string().max(4_096).optional() });
export const tokenReportResponse = z.object({ deviceId: deviceIdSchema, state: z.string() });

/** Every refusal and error of both APIs. */
export const errorResponse = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    reasons: z.array(z.looseObject({ code: z.string(), message: z.string() })),
    attestationResult: z.string().optional(),
  }),
});
