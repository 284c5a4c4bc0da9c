// The error codes, scopes and settings of `enrollment`.
import { z } from 'zod';

export const enrollmentErrorCodes = {
  'enrollment-refused': 403,
} as const;

export const enrollmentScopes = ['enrollment:write'] as const;

export const enrollmentSettings = {
  /** Life of a device's operational certificate, in seconds. */
  certificateSeconds: z.int().min(60).max(31_536_000).default(604_800),
  enrollment: z
    .strictObject({
      /** Ask every device for a one-time enrollment token. With false, any TPM with a certificate of a vendor root may register. */
      requireToken: z.boolean().default(true),
    })
    .prefault({}),
  deviceTokens: z
    .strictObject({
      /** How far a token's time may be from the hub's clock, in seconds (spec/device-token.md). */
      windowSeconds: z.int().min(1).max(3_600).default(300),
    })
    .prefault({}),
};
