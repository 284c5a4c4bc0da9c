// The operator's messages about certificates: list, revoke, expiry (spec/revocation.md). Times are unix milliseconds.
import { z } from 'zod';
import { sha256Hex } from './bytes.ts';
import { deviceIdSchema } from './device.ts';
import { reasonText } from './texts.ts';

/** The reasons that an operator may give: those that fit a device's certificate and are final (RFC 5280 section 5.3.1). */
export const revocationReasons = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const;

/** How many devices or certificates one call revokes: all of them are one transaction. */
export const REVOKED_AT_ONCE_MAX = 10_000;

const serialText = z.string().regex(/^[1-9a-f][0-9a-f]{0,39}$/);

const named = <T extends z.ZodType>(schema: T) => z.array(schema).min(1).max(REVOKED_AT_ONCE_MAX).optional();

const certificateView = z.object({
  serial: z.string(),
  deviceId: z.string(),
  /** The workload on the device that owns it; null for the device's own. */
  workload: z.string().nullable(),
  sha256: sha256Hex,
  notBefore: z.number(),
  notAfter: z.number(),
  revokedAt: z.number().nullable(),
  reason: z.string().nullable(),
});

export type CertificateView = z.infer<typeof certificateView>;

export const certificateList = z.object({ certificates: z.array(certificateView), next: z.string().nullable() });

export const revocationRequest = z
  .strictObject({
    /** Every valid certificate of these devices; or certificates by serial number or by SHA-256. */
    devices: named(deviceIdSchema),
    serials: named(serialText),
    sha256: named(sha256Hex),
    reason: z.enum(revocationReasons),
    /** Why, for the audit log. */
    note: reasonText,
    /** Only with `devices`: they may prove themselves and get another certificate. Without it they are quarantined as well. */
    mayReturn: z.boolean().default(false),
  })
  .refine(
    ({ devices, serials, sha256 }) => [devices, serials, sha256].filter((list) => list !== undefined).length === 1,
    'name devices, serials or sha256: one of the three',
  );

export const revocationResponse = z.object({
  version: z.number(),
  certificates: z.number(),
  devices: z.number(),
  quarantined: z.number(),
  leasesVoided: z.number(),
  digest: sha256Hex,
  connectionsClosed: z.number(),
});

const expiryItem = z.object({
  name: z.string(),
  notAfter: z.number(),
  ended: z.boolean(),
  warning: z.boolean(),
});

export type ExpiryItem = z.infer<typeof expiryItem>;

export const expiry = z.object({
  hub: z.array(expiryItem),
  /** The devices whose newest certificate ends first. */
  devices: z.array(expiryItem),
  devicesWarned: z.number(),
  devicesEnded: z.number(),
  /** The API tokens that end first, as `OWNER/NAME`. */
  tokens: z.array(expiryItem),
});

export type Expiry = z.infer<typeof expiry>;
