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

const kindOfEntry = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/);

/** What `GET /v1/events` sends. The header `Last-Event-ID` goes before `from`. */
export const eventStreamQuery = z.strictObject({
  /** Of entries of the audit log; may be repeated. Left out: all. */
  kind: z.union([kindOfEntry.transform((kind) => [kind]), z.array(kindOfEntry).max(32)]).default([]),
  /** The entry that the stream begins at; left out: what happens from now on. */
  from: z.coerce.number().int().min(0).optional(),
});
