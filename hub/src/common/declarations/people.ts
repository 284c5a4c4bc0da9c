// The error codes, scopes and settings of `people`.
import { z } from 'zod';

export const peopleErrorCodes = {
  'token-required': 401,
  'token-refused': 401,
  'scope-missing': 403,
  'approval-refused': 403,
  'request-under-way': 409,
  'request-repeated': 409,
  'request-key-reused': 422,
} as const;

/** `admin` is all scopes. */
export const peopleScopes = ['tokens:write', 'admin'] as const;

export const peopleSettings = {
  requestKeys: z
    .strictObject({
      /** How long an Idempotency-Key of a request is known, in hours. */
      keepHours: z.int().min(1).max(720).default(24),
    })
    .prefault({}),
  tokens: z
    .strictObject({
      /** The longest life of an API token, in days. */
      maxLifeDays: z.int().min(1).max(365).default(365),
      /** How long the first operator file of a new hub is valid, in hours: until a person has claimed it. */
      bootstrapHours: z.int().min(1).max(8_760).default(24),
    })
    .prefault({}),
};
