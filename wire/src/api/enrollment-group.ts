// The operator's messages about enrollment groups (spec/enrollment-groups.md). Times are unix milliseconds.
import { tierSchema } from '@edgekeep/core/attest/tier';
import { z } from 'zod';
import { attributesSchema } from './attributes.ts';
import { sha256Hex } from './bytes.ts';
import { enrollmentTokenStates } from './enrollment-token.ts';
import { groupNameSchema, tagsSchema } from './registry.ts';
import { siteNameSchema } from './site.ts';

/** The most that an operator can name; matching only looks up those that a device's proofs name. */
export const ENROLLMENT_GROUPS_MAX = 10_000;
/** Valid tokens of one group: one in use, and some during a roll-over. */
export const GROUP_TOKENS_MAX = 16;

const enrollmentGroupKinds = ['manifest', 'token', 'ca', 'endorsement-root'] as const;
export type EnrollmentGroupKind = (typeof enrollmentGroupKinds)[number];

const count = z.int().min(1).max(1_000_000_000);

/** What a device of the group must be, and what it gets when it enrolls. */
export const groupTerms = z.strictObject({
  /** Device ids must begin with it. */
  idPrefix: z
    .string()
    .regex(/^([a-z0-9][a-z0-9-]{0,61})?$/)
    .default(''),
  /** The only kind of root of trust that is accepted; left out: any. */
  tier: tierSchema.optional(),
  /** A token is needed in addition to the group's own proof: a one-time token, or one of this group. */
  needsToken: z.boolean().default(false),
  tags: tagsSchema.refine((tags) => Object.keys(tags).length <= 32, 'more than 32 tags').prefault({}),
  /** Desired attributes of a device that has none yet. */
  desired: attributesSchema.optional(),
  /** The site of its devices, unless an import names one. */
  site: siteNameSchema.optional(),
  /** Without `site`: at the site whose network has the address the device enrolls from. */
  siteByAddress: z.boolean().default(false),
});
export type GroupTerms = z.infer<typeof groupTerms>;

/** The same in answers: its texts are already canonical. */
const groupTermsView = groupTerms.extend({
  tags: z.record(z.string(), z.string()),
  desired: z.record(z.string(), z.unknown()).optional(),
});

export const enrollmentGroupRequest = z
  .strictObject({
    name: groupNameSchema,
    kind: z.enum(enrollmentGroupKinds),
    description: z.string().max(500).default(''),
    /** PEM of one authority: always of `ca`, and of `endorsement-root` when it is not among the hub's vendor roots. */
    certificate: z.string().max(64_000).optional(),
    /** SHA-256 of the SPKI of a vendor's root or intermediate that the hub has; `endorsement-root` only. */
    authoritySha256: sha256Hex.optional(),
    maxDevices: count.optional(),
    /** Device groups with named members that a device joins. */
    groups: z.array(groupNameSchema).max(32).default([]),
    terms: groupTerms.prefault({}),
  })
  .refine(({ kind, certificate, authoritySha256 }) => {
    const given = [certificate, authoritySha256].filter((value) => value !== undefined).length;
    if (kind === 'ca') return certificate !== undefined && given === 1;
    return kind === 'endorsement-root' ? given === 1 : given === 0;
  }, 'ca takes a certificate, endorsement-root a certificate or the authority’s SHA-256, manifest and token neither');

export const enrollmentGroupView = z.object({
  name: z.string(),
  kind: z.enum(enrollmentGroupKinds),
  description: z.string(),
  enabled: z.boolean(),
  disabledReason: z.string().nullable(),
  /** How many devices have enrolled by it, and the limit. */
  devices: z.number(),
  maxDevices: z.number().nullable(),
  authoritySha256: z.string().nullable(),
  createdAt: z.number(),
});
export const enrollmentGroupList = z.object({ groups: z.array(enrollmentGroupView), next: z.string().nullable() });
export const enrollmentGroupDetail = enrollmentGroupView.extend({
  certificate: z.string().nullable(),
  groups: z.array(z.string()),
  terms: groupTermsView,
  /** How many digests its manifest lists. */
  listed: z.number(),
  tokens: z.array(
    z.object({
      /** The start of its SHA-256, as in the audit log. */
      token: z.string(),
      /** A hub of an earlier version leaves it out. */
      state: z.enum(enrollmentTokenStates).default('usable'),
      createdAt: z.number(),
      expiresAt: z.number(),
      uses: z.number(),
      maxUses: z.number(),
    }),
  ),
});
export const enrollmentGroupDeleted = z.object({ name: z.string(), deleted: z.boolean() });
export const groupSwitchResponse = z.object({ name: z.string(), enabled: z.boolean() });

/** How many devices may enroll by the group in total; null for any number. */
export const groupLimitRequest = z.strictObject({ maxDevices: count.nullable() });

export const groupTokenRequest = z.strictObject({
  maxUses: count,
  lifeSeconds: z.int().min(1).max(31_536_000).default(2_592_000),
  /** How long older tokens of the group stay valid; left out: until their own end. */
  olderSeconds: z.int().min(0).max(31_536_000).optional(),
});
export const groupTokenResponse = z.object({ token: z.string(), expiresAt: z.number(), maxUses: z.number() });
