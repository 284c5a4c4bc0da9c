// The evidence that a key release rests on, by its digests: members of the `key-released` entry (spec/receipt.md, "Evidence"). The bytes
// themselves are in the long form of a receipt.
import { z } from 'zod';
import type { Evidence } from '../attest/evidence.ts';
import { parseBase64url, toBase64url, toHex } from '../bytes.ts';
import { sha256Hex } from '../digest.ts';
import { parseForeignCertificate, publicKeyOf } from '../identity/certificate.ts';
import { encodeSpki } from '../identity/public-key.ts';
import type { Json } from '../json.ts';
import { parsePublic, tpmName } from '../tpm/public-area.ts';

const digest = z.string().regex(/^[0-9a-f]{64}$/);
/** The Name of a TPM object, hex: the number of a hash algorithm, and its digest. SHA-1 is that of devices from before it was refused. */
const name = z.string().regex(/^(?:0004[0-9a-f]{40}|000b[0-9a-f]{64}|000c[0-9a-f]{96}|000d[0-9a-f]{128})$/);

export const releaseEvidenceSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tpm'),
    quote: digest,
    eventLog: digest,
    imaLog: digest.optional(),
    attestationKey: name,
    endorsementCertificate: digest,
  }),
  z.strictObject({ kind: z.literal('dice'), statement: digest, eventLog: digest, deviceIdKey: digest }),
  z.strictObject({ kind: z.literal('software'), statement: digest, eventLog: digest, signingKey: digest }),
]);

export type ReleaseEvidence = Readonly<z.infer<typeof releaseEvidenceSchema>>;

/** What the evidence of a device is verified with, as the device registered it. */
export type EvidenceOrigin =
  | {
      readonly kind: 'tpm';
      /** TPM2B_PUBLIC or TPMT_PUBLIC. */
      readonly attestationKey: Uint8Array;
      /** DER: the endorsement certificate first, then the certificates between it and the maker's root. */
      readonly certificates: readonly Uint8Array[];
    }
  | {
      readonly kind: 'dice';
      /** DER: the DeviceID certificate first, then those above it that are known. */
      readonly certificates: readonly Uint8Array[];
    }
  /** Also of a secure element. DER SubjectPublicKeyInfo. */
  | { readonly kind: 'software'; readonly signingKey: Uint8Array };

const CERTIFICATES_MAX = 16;
const CERTIFICATE_BYTES_MAX = 16 * 1024;
const KEY_BYTES_MAX = 4096;
const base64url = (maxBytes: number) => z.string().max(Math.ceil((maxBytes * 4) / 3));
const certificates = z.array(base64url(CERTIFICATE_BYTES_MAX)).min(1).max(CERTIFICATES_MAX);

/** The document of an origin, in a long receipt. */
export const evidenceOriginSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('tpm'), attestationKey: base64url(KEY_BYTES_MAX), certificates }),
  z.strictObject({ kind: z.literal('dice'), certificates }),
  z.strictObject({ kind: z.literal('software'), signingKey: base64url(KEY_BYTES_MAX) }),
]);

export function evidenceOriginDocument(origin: EvidenceOrigin): { readonly [name: string]: Json } {
  if (origin.kind === 'software') return { kind: origin.kind, signingKey: toBase64url(origin.signingKey) };
  const chain = origin.certificates.slice(0, CERTIFICATES_MAX).map(toBase64url);
  if (origin.kind === 'dice') return { kind: origin.kind, certificates: chain };
  return { kind: origin.kind, attestationKey: toBase64url(origin.attestationKey), certificates: chain };
}

/** The origin of a document that was parsed; throws `encoding-invalid`. */
export function evidenceOriginOf(document: z.infer<typeof evidenceOriginSchema>): EvidenceOrigin {
  if (document.kind === 'software') {
    return { kind: document.kind, signingKey: parseBase64url(document.signingKey, 'signingKey') };
  }
  const chain = document.certificates.map((text) => parseBase64url(text, 'certificate'));
  if (document.kind === 'dice') return { kind: document.kind, certificates: chain };
  const attestationKey = parseBase64url(document.attestationKey, 'attestationKey');
  return { kind: document.kind, attestationKey, certificates: chain };
}

/** What a release says of an origin: the same for all evidence of the device. */
export type OriginDigests =
  | { readonly kind: 'tpm'; readonly attestationKey: string; readonly endorsementCertificate: string }
  | { readonly kind: 'dice'; readonly deviceIdKey: string }
  | { readonly kind: 'software'; readonly signingKey: string };

export function originDigestsOf(origin: EvidenceOrigin): OriginDigests {
  switch (origin.kind) {
    case 'tpm': {
      const [endorsement = new Uint8Array(0)] = origin.certificates;
      const attestationKey = toHex(tpmName(parsePublic(origin.attestationKey)));
      return { kind: 'tpm', attestationKey, endorsementCertificate: sha256Hex(endorsement) };
    }
    case 'dice': {
      const [deviceId = new Uint8Array(0)] = origin.certificates;
      // Another signature makes other bytes of the same certificate; the key is what it certifies.
      return { kind: 'dice', deviceIdKey: sha256Hex(encodeSpki(publicKeyOf(parseForeignCertificate(deviceId)))) };
    }
    case 'software':
      return { kind: 'software', signingKey: sha256Hex(origin.signingKey) };
  }
}

/** The digests of evidence from this origin; undefined when the two do not belong together. */
export function releaseEvidenceOf(evidence: Evidence, origin: EvidenceOrigin): ReleaseEvidence | undefined {
  return evidence.kind === origin.kind ? evidenceWithOrigin(evidence, originDigestsOf(origin)) : undefined;
}

/** As `releaseEvidenceOf`, for a caller that keeps the digests of the origin. */
export function evidenceWithOrigin(evidence: Evidence, origin: OriginDigests): ReleaseEvidence | undefined {
  const eventLog = sha256Hex(evidence.eventLog);
  if (evidence.kind === 'tpm' && origin.kind === 'tpm') {
    const imaLog = evidence.imaLog === undefined ? {} : { imaLog: sha256Hex(evidence.imaLog) };
    return { ...origin, quote: sha256Hex(evidence.quote), eventLog, ...imaLog };
  }
  if (evidence.kind === 'dice' && origin.kind === 'dice')
    return { ...origin, statement: sha256Hex(evidence.statement), eventLog };
  if (evidence.kind === 'software' && origin.kind === 'software')
    return { ...origin, statement: sha256Hex(evidence.statement), eventLog };
  return undefined;
}

/** Whether a logged release names exactly this evidence. The origin is not compared. */
export function namesEvidence(release: ReleaseEvidence, evidence: Evidence): boolean {
  if (release.kind !== evidence.kind || release.eventLog !== sha256Hex(evidence.eventLog)) return false;
  if (release.kind === 'tpm' && evidence.kind === 'tpm') {
    const imaLog = evidence.imaLog === undefined ? undefined : sha256Hex(evidence.imaLog);
    return release.quote === sha256Hex(evidence.quote) && release.imaLog === imaLog;
  }
  return release.kind !== 'tpm' && evidence.kind !== 'tpm' && release.statement === sha256Hex(evidence.statement);
}
