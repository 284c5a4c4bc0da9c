// The tables that `event` writes (spec/events.md).

export interface EventTables {
  event_cursor: EventCursorRow;
}

/** How far a consumer of the audit log has come. */
export interface EventCursorRow {
  readonly name: string;
  /** Index of the entry that comes next. */
  readonly position: number;
  readonly moved_at: number;
  /** Batches in a row that failed. */
  readonly failures: number;
  readonly problem: string | null;
  /** After a failure: no earlier attempt. */
  readonly next_at: number | null;
}
