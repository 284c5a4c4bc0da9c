// What a device says of the processes that run its models (spec/guard.md section 6): a claim of its agent, like all else in a report.
import { z } from 'zod';

const wall = z.string().regex(/^[a-z][a-z-]{0,31}$/);
const total = z.int().min(0).max(1e9);

export const guardReport = z.strictObject({
  /** Walls around each guard, by name. */
  walls: z.array(wall).max(32),
  /** Those that its machine cannot give. */
  missing: z.array(wall).max(32),
  /** Guards that were ended since the agent started, because one inference took longer than it may. */
  inferenceTimeouts: total,
  /** Guards that were ended since the agent started, because they sent what no guard sends. */
  protocolViolations: total,
});

export type GuardReport = Readonly<z.infer<typeof guardReport>>;
