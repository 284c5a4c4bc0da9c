// The operator's messages about what happened (spec/events.md). Times are unix milliseconds.
import { z } from 'zod';

export const eventCursor = z.object({
  name: z.string(),
  /** Index of the entry of the audit log that its consumer gets next. */
  position: z.number(),
  /** Entries that the consumer has not handled, and the age of the oldest of them. */
  lagEntries: z.number(),
  lagSeconds: z.number(),
  movedAt: z.number(),
  /** Batches in a row that failed, and why the last one did. */
  failures: z.number(),
  problem: z.string().nullable(),
  /** After a failure: no earlier attempt. */
  nextAt: z.number().nullable(),
  /** False: no consumer of this hub has it. */
  used: z.boolean(),
});
export type EventCursor = z.infer<typeof eventCursor>;

export const eventCursorList = z.object({ cursors: z.array(eventCursor) });

export const resetCursorRequest = z.strictObject({
  /** The entry that comes next; null: what comes after the last one now. */
  position: z.int().min(0).nullable(),
  reason: z.string().min(1).max(200),
});
