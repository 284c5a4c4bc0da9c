// The error codes and settings of `presence`.
import { z } from 'zod';

export const presenceErrorCodes = {
  'connection-unbound': 401,
  'challenge-missing': 409,
} as const;

export const presenceSettings = {
  identity: z
    .strictObject({
      /** One identity in use in two places: the first continues and the second is refused, or both are held until an operator decides. */
      concurrentSessions: z.enum(['keep-first', 'hold-both']).default('keep-first'),
      /** How long a place must be silent before another replaces it when no hardware proves that it is the same device, in seconds. */
      silentSeconds: z.int().min(5).max(86_400).default(120),
      /** Whether a device token is also bound to one address. */
      tokensBoundToAddress: z.boolean().default(true),
      /** The action, besides the alert, when a client shows an operational key without its root of trust. */
      onClone: z.enum(['alert', 'revoke', 'quarantine']).default('alert'),
    })
    .prefault({}),
};
