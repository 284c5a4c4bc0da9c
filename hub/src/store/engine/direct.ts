// The connection itself, for queries that are built already. An engine in this process has one at hand; what Kysely does around a query (a lock, a
// provider of connections, a log) takes as long as SQLite takes to answer it.
import type { CompiledQuery, Kysely } from 'kysely';

export interface DirectConnection {
  /** The rows that a query gives with these parameters. */
  rows<Row>(query: CompiledQuery<Row>, parameters?: readonly unknown[]): readonly Row[];
}

// By the executor: that of a transaction is forgotten when the transaction ends, and Kysely refuses what comes later.
const known = new WeakMap<object, DirectConnection>();

/** The connection of a store or of a transaction that runs now; undefined where the engine gives none. */
export function directOf<DB>(db: Kysely<DB>): DirectConnection | undefined {
  return known.get(db.getExecutor());
}

/** Built queries of `db` go to `connection` from now on, until this is disposed. */
export function goDirect<DB>(db: Kysely<DB>, connection: DirectConnection): Disposable {
  const executor = db.getExecutor();
  known.set(executor, connection);
  return { [Symbol.dispose]: () => void known.delete(executor) };
}
