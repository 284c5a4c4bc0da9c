// The error codes and settings of `revocation`.
import { z } from 'zod';

export const revocationErrorCodes = {
  'certificate-revoked': 403,
} as const;

export const revocationSettings = {
  revocation: z
    .strictObject({
      /** How often a hub node reads revocations from the store, in milliseconds. */
      pollMilliseconds: z.int().min(10).max(1_000).default(250),
      /** From one certificate revocation list to its next update, in seconds. */
      crlSeconds: z.int().min(60).max(2_592_000).default(86_400),
      /** How long an OCSP response is valid, in seconds. */
      ocspSeconds: z.int().min(60).max(604_800).default(3_600),
    })
    .prefault({}),
};
