// Every refusal and error of both APIs (spec/api.md).
import { z } from 'zod';

/** Every refusal and error of both APIs. */
export const errorResponse = z.object({
  error: z.object({
    code: z.string(),
    message: z.string(),
    reasons: z.array(z.looseObject({ code: z.string(), message: z.string() })),
    attestationResult: z.string().optional(),
  }),
});
