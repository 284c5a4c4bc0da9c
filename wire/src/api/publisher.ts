// The operator's messages about publishers whose signatures count (spec/model-signature.md).
import { z } from 'zod';

export const publisherRequest = z.strictObject({ name: z.string().min(1).max(100), publicKey: z.string().max(8_192) });

export const publisherResponse = z.object({ fingerprint: z.string(), name: z.string() });

export const publisherList = z.object({ publishers: z.array(publisherResponse) });
