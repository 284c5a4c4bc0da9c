// The name of a device, and the identity that it shows (spec/api.md, "Device API"). Bytes are unpadded base64url.
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { parseForeignCertificate } from '@edgekeep/core/identity/certificate';
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
    /** None: refused by name. */
    endorsementCertificates: z.array(certificateBytes).max(5),
    attestationKey: tpmBytes,
  }),
  z.strictObject({ kind: z.literal('secure-element'), signingKey: tpmBytes, encryptionKey: tpmBytes }),
  /** DER, the DeviceID certificate first, then its issuers, if the device has them (spec/dice.md). */
  z.strictObject({ kind: z.literal('dice'), deviceIdCertificates: z.array(certificateBytes).min(1).max(5) }),
  z.strictObject({ kind: z.literal('software'), signingKey: tpmBytes, encryptionKey: tpmBytes }),
]);

export type DeviceIdentity = z.infer<typeof deviceIdentitySchema>;

/**
 * The public keys of an identity, as evidence for an operational key covers them (spec/evidence.md, "Certifying a key"). Certificates are not
 * among them: a maker may certify one key again.
 */
export function identityKeys(identity: DeviceIdentity): { readonly [name: string]: string } {
  switch (identity.kind) {
    case 'tpm': {
      const { kind, endorsementKey, attestationKey } = identity;
      return { kind, endorsementKey, attestationKey };
    }
    case 'dice': {
      const {
        kind,
        deviceIdCertificates: [first = ''],
      } = identity;
      const der = parseBase64url(first, 'deviceIdCertificates');
      return { kind, deviceIdKey: toBase64url(parseForeignCertificate(der, 'the DeviceID certificate').spki) };
    }
    case 'secure-element':
    case 'software': {
      const { kind, signingKey, encryptionKey } = identity;
      return { kind, signingKey, encryptionKey };
    }
  }
}
