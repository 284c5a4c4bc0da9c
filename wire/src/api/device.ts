// The name of a device, and the identity that it shows (spec/api.md, "Device API"). Bytes are unpadded base64url.
import { endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import { z } from 'zod';
import { certificateBytes, tpmBytes } from './bytes.ts';

export const deviceIdSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);

export const deviceIdentitySchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('tpm'),
    endorsementKey: tpmBytes,
    endorsementKeyKind: z.enum(endorsementKeyKinds),
    /** DER, the endorsement certificate first, then the issuers that the TPM stores. */
    endorsementCertificates: z.array(certificateBytes).min(1).max(5),
    attestationKey: tpmBytes,
  }),
  z.strictObject({ kind: z.literal('secure-element'), signingKey: tpmBytes, encryptionKey: tpmBytes }),
  /** DER, the DeviceID certificate first, then its issuers, if the device has them (spec/dice.md). */
  z.strictObject({ kind: z.literal('dice'), deviceIdCertificates: z.array(certificateBytes).min(1).max(5) }),
  z.strictObject({ kind: z.literal('software'), signingKey: tpmBytes, encryptionKey: tpmBytes }),
]);

export type DeviceIdentity = z.infer<typeof deviceIdentitySchema>;
