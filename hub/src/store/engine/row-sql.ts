// What the comparison of rows with the log asks of a store (docs/design/security-state.md), in the SQL of its engine. All of it is asked by the
// connection that is given, so that it belongs to its transaction.
import type { Kysely, RawBuilder } from 'kysely';
import type { WatchedTable } from './row-watch.ts';

export interface RowSql {
  hasTable<DB>(db: Kysely<DB>, table: string): Promise<boolean>;
  /**
   * What is in the database, acts on rows, and was not made by a hub: a trigger, a view. In words; undefined where there is nothing. `watched` are the
   * tables whose triggers a hub of this version has made and not removed: they must be exactly its own.
   */
  planted<DB>(db: Kysely<DB>, watched: readonly WatchedTable[] | undefined): Promise<string | undefined>;
  /** Expressions over the listed columns of the row `r` of a table. */
  rows<DB>(db: Kysely<DB>): Promise<(each: WatchedTable) => RowExpressions>;
  /** Whether the column contains these bytes. */
  contains(column: string, bytes: Uint8Array): RawBuilder<unknown>;
  /** Until the end of the transaction, or `referencesNow`, a row may refer to one that is gone. */
  referencesLater<DB>(db: Kysely<DB>): Promise<void>;
  /** Fails where a row refers to one that is gone, unless the commit does so. */
  referencesNow<DB>(db: Kysely<DB>): Promise<void>;
}

export interface RowExpressions {
  /** Names the row within this transaction. */
  readonly id: RawBuilder<string>;
  /** For people. */
  readonly name: RawBuilder<string>;
  /** Type and bytes of each column: different rows have different texts, and a row has the same on every engine. */
  readonly text: RawBuilder<string>;
  readonly condition: RawBuilder<unknown>;
  /** Whether it is the row of this id. */
  is(id: string): RawBuilder<unknown>;
}

// By the adapter of a connection, which its transactions have as well.
const known = new WeakMap<object, RowSql>();

export function rowSqlOf<DB>(db: Kysely<DB>): RowSql {
  const found = known.get(db.getExecutor().adapter);
  if (found === undefined) throw new TypeError('this connection belongs to no engine');
  return found;
}

/** The connection, with its engine's SQL about rows. */
export function withRowSql<DB>(db: Kysely<DB>, rows: RowSql): Kysely<DB> {
  known.set(db.getExecutor().adapter, rows);
  return db;
}
