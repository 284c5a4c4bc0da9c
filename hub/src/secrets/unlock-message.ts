// The messages between a person and a hub that waits for its keys (spec/platform-secrets.md, "Unlocking a hub that waits").
import { z } from 'zod';

/** What one person gives, as one line of JSON. */
export const unlockRequest = z.union([
  z.strictObject({ passphrase: z.string().min(1).max(1_024) }),
  z.strictObject({ share: z.string().min(1).max(256) }),
]);
export type UnlockRequest = z.infer<typeof unlockRequest>;

/** The hub's answer, as one line of JSON. */
export const unlockResponse = z.union([
  z.strictObject({ state: z.literal('unlocked') }),
  /** This many different shares of this split have arrived. */
  z.strictObject({ state: z.literal('waiting'), given: z.int(), needed: z.int() }),
  z.strictObject({ state: z.literal('refused'), message: z.string() }),
]);
export type UnlockResponse = z.infer<typeof unlockResponse>;
