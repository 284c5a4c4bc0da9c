// The operator's messages about publishers whose signatures count (spec/model-signature.md).
import { z } from 'zod';

export const publisherRequest = z.strictObject({ name: z.string().min(1).max(100), publicKey: z.string().max(8_192) });

export const publisherResponse = z.object({
  fingerprint: z.string(),
  name: z.string(),
  /** Unix milliseconds: from then on nothing new that it signed is accepted; null: no end is set. A hub of the version before leaves it out. */
  endsAt: z.number().nullable().default(null),
});

export const publisherList = z.object({ publishers: z.array(publisherResponse) });

export const publisherEndRequest = z.strictObject({
  /** Unix milliseconds, not in the past; left out: now. */
  endsAt: z.int().min(0).optional(),
  note: z.string().min(1).max(500),
});
