// The error codes and settings of `vendor-root`.
import { z } from 'zod';

export const vendorRootErrorCodes = {
  'vendor-root-refused': 422,
  'vendor-roots-unreadable': 500,
} as const;

export const vendorRootSettings = {
  vendorRoots: z
    .strictObject({
      /** The time at which the path of an endorsement certificate is judged: 'now', or 'issuance', when its maker certified the key. */
      endorsementJudgedAt: z.enum(['now', 'issuance']).default('now'),
      /** A file in vendor-roots/, dice-roots/ or idevid-roots/ that cannot be read: 'skip' it with a warning, or 'refuse' to start. */
      onUnreadable: z.enum(['skip', 'refuse']).default('skip'),
    })
    .prefault({}),
};
