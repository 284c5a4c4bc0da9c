// The recurring work of a hub node (docs/jobs.md): what `GET /v1/jobs` answers. Times are unix milliseconds.
import { z } from 'zod';

const jobView = z.object({
  name: z.string(),
  summary: z.string(),
  /** Null for a job that runs on request only. */
  everyMilliseconds: z.number().nullable(),
  /** `every-node`, or `one-node` for work that one node of a store does for all. */
  place: z.enum(['every-node', 'one-node']),
  running: z.boolean(),
  /** Since this node started. */
  runs: z.number(),
  failures: z.number(),
  /** Failed runs since the last success. */
  failuresInARow: z.number(),
  lastStartedAt: z.number().nullable(),
  lastSucceededAt: z.number().nullable(),
  lastError: z.string().nullable(),
});

export const jobList = z.object({
  jobs: z.array(jobView),
  /** Whether the node that answers does the work that one node does for all; a hub of the version before does not say. */
  leads: z.boolean().optional(),
});
