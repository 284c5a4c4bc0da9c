// The operator's messages about enrolment tokens of both kinds (spec/enrolment-groups.md, "Tokens"). Times are unix milliseconds.
import { z } from 'zod';
import { tokenIdSchema } from './people.ts';

/** Why a token counts, or does not. */
export const enrolmentTokenStates = ['usable', 'used', 'expired', 'revoked', 'maker-ended'] as const;
export type EnrolmentTokenState = (typeof enrolmentTokenStates)[number];

export const enrolmentTokenView = z.object({
  /** The start of its SHA-256, as in the audit log. */
  id: tokenIdSchema,
  /** The enrolment group whose devices may use it; null for a one-time token. */
  group: z.string().nullable(),
  /** The only device and tier of a one-time token; null for any. */
  deviceId: z.string().nullable(),
  tier: z.string().nullable(),
  state: z.enum(enrolmentTokenStates),
  createdAt: z.number(),
  expiresAt: z.number(),
  revokedAt: z.number().nullable(),
  uses: z.number(),
  usesMost: z.number(),
  /** The API token that it ends with; null for one from before that was so. */
  endsWith: tokenIdSchema.nullable(),
});
export type EnrolmentTokenView = z.infer<typeof enrolmentTokenView>;
export const enrolmentTokenList = z.object({ tokens: z.array(enrolmentTokenView), next: z.string().nullable() });
export const enrolmentTokenRevoked = z.object({ id: tokenIdSchema, revoked: z.boolean() });
export const enrolmentTokenHandedOver = z.object({ id: tokenIdSchema, expiresAt: z.number() });
