// The operator's messages about enrollment tokens of both kinds (spec/enrollment-groups.md, "Tokens"). Times are unix milliseconds.
import { tierSchema } from '@edgekeep/core/attest/tier';
import { z } from 'zod';
import { deviceIdSchema } from './device.ts';
import { tokenIdSchema } from './people.ts';
import { deviceTierWord } from './words.ts';

/** Why a token is valid or not. */
export const enrollmentTokenStates = ['usable', 'used', 'expired', 'revoked', 'maker-ended'] as const;
export type EnrollmentTokenState = (typeof enrollmentTokenStates)[number];

const enrollmentTokenView = z.object({
  /** The start of its SHA-256, as in the audit log. */
  id: tokenIdSchema,
  /** The enrollment group whose devices may use it; null for a one-time token. */
  group: z.string().nullable(),
  /** The only device and tier of a one-time token; null for any. */
  deviceId: z.string().nullable(),
  tier: deviceTierWord.nullable(),
  state: z.enum(enrollmentTokenStates),
  createdAt: z.number(),
  expiresAt: z.number(),
  revokedAt: z.number().nullable(),
  uses: z.number(),
  maxUses: z.number(),
  /** The API token that it ends with; null for one from before enrollment tokens ended with their maker. */
  endsWith: tokenIdSchema.nullable(),
});
export type EnrollmentTokenView = z.infer<typeof enrollmentTokenView>;
export const enrollmentTokenList = z.object({ tokens: z.array(enrollmentTokenView), next: z.string().nullable() });
export const enrollmentTokenRevoked = z.object({ id: tokenIdSchema, revoked: z.boolean() });
export const enrollmentTokenHandedOver = z.object({ id: tokenIdSchema, expiresAt: z.number() });

export const enrollmentTokenRequest = z.strictObject({
  deviceId: deviceIdSchema.optional(),
  tier: tierSchema.optional(),
  lifeSeconds: z.int().min(1).max(2_592_000).default(86_400),
});

export const enrollmentTokenResponse = z.object({ token: z.string(), expiresAt: z.number() });
