// The operator's view of a hub (spec/api.md, "Operator API").
import { z } from 'zod';

/** What a device must know about its hub before it first connects. */
export const hubView = z.object({
  /** The first of the names in the hub's certificate by which a client can reach it. */
  name: z.string(),
  devicePort: z.number(),
  root: z.string(),
  logKey: z.string(),
  attestationKey: z.string(),
  publisherKeys: z.array(z.string()),
  /** PCRs that reference values must cover for a boot to be affirmed. */
  coveredPcrs: z.array(z.number()).default([]),
  /** Why the hub's clock cannot be relied on; null when it can. */
  clockProblem: z.string().nullable().default(null),
});
