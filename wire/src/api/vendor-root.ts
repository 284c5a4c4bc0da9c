// The operator's messages about certificates of hardware makers (spec/vendor-roots.md). Times are unix milliseconds.
import { z } from 'zod';
import { sha256Hex } from './bytes.ts';

/**
 * What the certificate is trusted for: `tpm` endorsement certificates, `dice` DeviceID certificates, `idevid` initial identities (IEEE
 * 802.1AR).
 */
export const vendorRootKinds = ['tpm', 'dice', 'idevid'] as const;
export type VendorRootKind = (typeof vendorRootKinds)[number];

/** `root` signs itself; `anchor` does not, but an operator allowed paths to end at it; `intermediate` is not trusted alone. */
const vendorRootRoles = ['root', 'anchor', 'intermediate'] as const;
export type VendorRootRole = (typeof vendorRootRoles)[number];

/** Certificates of one request; `edgekeep vendor-root import` sends more in several. */
export const VENDOR_ROOTS_IN_ORDER_MAX = 512;
export const VENDOR_ROOT_ORDER_BYTES_MAX = 1_572_864;

const kind = z.enum(vendorRootKinds);

export const vendorRootRequest = z.strictObject({
  kind,
  /** DER in base64. */
  certificates: z.array(z.string().min(1).max(44_000)).min(1).max(VENDOR_ROOTS_IN_ORDER_MAX),
  /** Paths may end at these, even if they do not sign themselves. */
  anchor: z.boolean().default(false),
  /** Their origin, for readers of the list. */
  source: z.string().min(1).max(200).default('operator'),
});

const vendorRootView = z.object({
  kind,
  sha256: z.string(),
  spkiSha256: z.string(),
  role: z.enum(vendorRootRoles),
  maker: z.string(),
  /** Whether the fingerprint is one of the makers' roots that ship with the product; null for a certificate that is no root. */
  known: z.boolean().nullable(),
  subject: z.string(),
  issuer: z.string(),
  notBefore: z.number(),
  notAfter: z.number(),
  /** Devices, except retired ones, whose certificate depends on it. */
  usedBy: z.number(),
  source: z.string(),
  addedAt: z.number(),
  addedBy: z.string(),
});
export type VendorRootView = z.infer<typeof vendorRootView>;

export const vendorRootImported = z.object({
  added: z.number(),
  /** `added`, `present` already, or `anchored`: it was an intermediate before. */
  certificates: z.array(
    vendorRootView
      .pick({ sha256: true, role: true, maker: true, known: true, subject: true, notAfter: true })
      .extend({ change: z.enum(['added', 'present', 'anchored']) }),
  ),
});

export const vendorRootQuery = z.strictObject({
  kind: kind.optional(),
  /** `next` of the page before. */
  after: z.string().max(80).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export const vendorRootList = z.object({ roots: z.array(vendorRootView), next: z.string().nullable() });

export const vendorRootPath = z.strictObject({ kind, sha256: sha256Hex });
export const vendorRootRemoval = z.strictObject({
  /** Even while devices depend on it. */
  force: z.enum(['true', 'false']).default('false'),
  reason: z.string().min(1).max(200),
});
export const vendorRootRemoved = z.object({ kind, sha256: z.string(), usedBy: z.number() });

/** What enrollment judges by, for `edgekeep doctor`: certificates in DER, base64. */
export const vendorRootTrust = z.object({
  kind,
  judgedAt: z.enum(['now', 'issuance']),
  anchors: z.array(z.string()),
  intermediates: z.array(z.string()),
});
export type VendorRootTrust = z.infer<typeof vendorRootTrust>;
export const vendorRootTrustQuery = z.strictObject({ kind });
/** How many of each kind the hub has. */
export const vendorRootSummary = z.object({
  kinds: z.array(
    z.object({
      kind,
      roots: z.number(),
      intermediates: z.number(),
      ended: z.number(),
      /** The next end; null when there is none. */
      nextEnd: z.number().nullable(),
    }),
  ),
});
