// What a device reports about the processes that run its models (spec/guard.md section 6): a claim of its agent, like everything else in a
// report.
import { z } from 'zod';

const wall = z.string().regex(/^[a-z][a-z-]{0,31}$/);
const total = z.int().min(0).max(1e9);

export const guardReport = z.strictObject({
  /** Walls around each guard, by name. */
  walls: z.array(wall).max(32),
  /** The walls that its machine cannot provide. */
  missing: z.array(wall).max(32),
  /** Guards that were killed since the agent started, because one inference took longer than allowed. */
  inferenceTimeouts: total,
  /** Guards that were killed since the agent started, because they sent invalid data. */
  protocolViolations: total,
  /** Guards that ended since the agent started although nobody ended them: they crashed, or the kernel killed them for want of memory. */
  crashes: total.default(0),
});

export type GuardReport = Readonly<z.infer<typeof guardReport>>;
