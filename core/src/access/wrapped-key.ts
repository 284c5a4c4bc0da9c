// A model key on its way to one device (spec/access.md, spec/tpm.md): either an import blob that only one TPM in one boot state opens, or an HPKE
// ciphertext (RFC 9180) for a device without a TPM. As JSON; bytes are unpadded base64url.
import { z } from 'zod';
import { pcrCount } from '../tpm/pcr-selection.ts';
import { endorsementKeyKinds } from '../tpm/template.ts';
import { leaseTermsSchema } from './lease-terms.ts';
import { hybridSuite } from '../identity/hybrid-hpke.ts';
import { hybridWrapType, wrapTypes } from './wrap-context.ts';

/**
 * A TPM2B_PUBLIC of a sealed object is 78 bytes, its duplicate at most 140, a seed under RSA-4096 514; the encapsulated key of ML-KEM-768 with
 * a point of P-256 is 1153.
 */
const FIELD_CHARACTERS_MAX = 2048;

const base64url = z
  .string()
  .max(FIELD_CHARACTERS_MAX)
  .regex(/^[A-Za-z0-9_-]*$/);

const pcrs = z
  .array(
    z
      .number()
      .int()
      .min(0)
      .max(pcrCount - 1),
  )
  .max(pcrCount)
  .refine((list) => list.every((pcr, index) => index === 0 || pcr > (list[index - 1] ?? -1)), 'PCRs must ascend');

const approval = z.strictObject({
  /** TPM2B_PUBLIC of the key that approves policies; its Name is in the blob's policy digest. */
  publicArea: base64url,
  policyRef: base64url,
  /** TPMT_SIGNATURE over approved policy || policyRef; the approved policy is PolicyPCR over the values the device has now. */
  signature: base64url,
});

/** Left out: the form of the version before. */
const type = z.enum(wrapTypes).optional();

/** The second layer of the type v3: an HPKE ciphertext in mode psk, whose psk is what the first layer carries. */
const hybrid = z
  .strictObject({ suite: z.literal(hybridSuite), encapsulatedKey: base64url, ciphertext: base64url })
  .optional();

const kinds = z.discriminatedUnion('kind', [
  z.strictObject({
    type,
    hybrid,
    kind: z.literal('tpm-import'),
    publicArea: base64url,
    duplicate: base64url,
    encryptedSeed: base64url,
    /** PCRs of the SHA-256 bank that the policy names, ascending. */
    pcrs,
    /** Left out: `rsa-2048`. */
    /** The endorsement key of the device for which the blob was made. */
    parent: z.enum(endorsementKeyKinds).optional(),
    /** Present when the blob's policy is PolicyAuthorize instead of PolicyPCR. */
    approval: approval.optional(),
    /**
     * The object's authorization value, 32 bytes: PolicyAuthValue then follows PolicyPCR or PolicyAuthorize. The device gets it together
     * with the key, and it never crosses the bus of the TPM, where everything else here can be read.
     */
    authValue: z
      .string()
      .regex(/^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/)
      .optional(),
    /** The terms after PolicyPCR or PolicyAuthorize; present when the TPM itself must end the lease. */
    terms: leaseTermsSchema.optional(),
  }),
  z.strictObject({ type, hybrid, kind: z.literal('hpke'), encapsulatedKey: base64url, ciphertext: base64url }),
]);

export const wrappedKeySchema = kinds.refine(
  (wrapped) => (wrapped.hybrid !== undefined) === (wrapped.type === hybridWrapType),
  `the second layer belongs to ${hybridWrapType}, and to no other type`,
);

export type WrappedKey = z.infer<typeof wrappedKeySchema>;
export type TpmWrappedKey = Extract<WrappedKey, { readonly kind: 'tpm-import' }>;
export type HybridLayer = NonNullable<WrappedKey['hybrid']>;
export type HpkeWrappedKey = Extract<WrappedKey, { readonly kind: 'hpke' }>;

/** HPKE `info` of a wrapped key without a `type`; the associated data is the lease id as UTF-8. */
export const wrappedKeyHpkeInfo = 'edgekeep model key v1';

/** HPKE `info` of the secret that an enrolling secure element opens; the associated data is the device id as UTF-8. */
export const agreementHpkeInfo = 'edgekeep agreement key proof v2';

/** The associated data of that secret for an agent of the version before, under `wrappedKeyHpkeInfo`: no lease has such an id. */
export function formerAgreementContext(deviceId: string): string {
  return `edgekeep-enroll-v1 ${deviceId}`;
}
