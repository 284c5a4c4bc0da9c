// Rows that are only added, each with the next number: the entries of the audit log. An engine whose groups have one lock may count them itself and
// insert those of a group together.
import type { Kysely } from 'kysely';

/** `number` is the primary key; the other columns hold bytes. */
export interface NumberedTable {
  readonly table: string;
  readonly number: string;
  readonly columns: readonly string[];
}

export interface NumberedRows {
  /** Adds a row to the group that runs now, and gives its number. */
  append(values: readonly Uint8Array[]): Promise<number>;
}

// By the adapter of a connection, which its transactions have as well.
const known = new WeakMap<object, NumberedRows>();

/** Undefined where the engine leaves counting to SQL. */
export function numberedRowsOf<DB>(db: Kysely<DB>): NumberedRows | undefined {
  return known.get(db.getExecutor().adapter);
}

export function countRows<DB>(db: Kysely<DB>, rows: NumberedRows): void {
  known.set(db.getExecutor().adapter, rows);
}
