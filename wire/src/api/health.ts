// Probes (spec/api.md, "Ready").
import { z } from 'zod';

export const healthView = z.object({ status: z.enum(['alive']) });

export const readinessView = z.object({
  status: z.enum(['ready', 'not-ready']),
  /** What the hub lacks; empty when it is ready. */
  failing: z.array(z.object({ resource: z.string(), message: z.string() })),
});
