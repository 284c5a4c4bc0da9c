// SQLite in this process: one file, one connection that writes, one that reads.
import { performance } from 'node:perf_hooks';
import { CompiledQuery, type Kysely, sql, SqliteIntrospector, SqliteQueryCompiler, type Transaction } from 'kysely';
import { type DirectConnection, goDirect } from './direct.ts';
import type { Charge, Engine, Outcome, SqlOfEngine, WriteGroup } from './engine.ts';
import { FencedOut } from './fenced-out.ts';
import { type RowChange, type WatchedTable, watchStatements } from './row-watch.ts';
import { openConnection, type OpenConnection, TransactionalAdapter } from './sqlite.ts';

export class SqliteEngine<DB> implements Engine<DB> {
  readonly read: Kysely<DB>;
  readonly sql = sqliteSql;
  readonly isShared = false;
  readonly clock = sql<number>`cast(unixepoch('subsec') * 1000 as integer)`;
  readonly #writer: OpenConnection<DB>;
  readonly #reads: Disposable;
  #fence: CompiledQuery | undefined;
  /** Changed rows of the write that runs now. */
  readonly #changes: RowChange[] = [];

  /** Opens the file at `path`, and makes it where there is none. */
  constructor(path: string, charge: Charge) {
    const writer = openConnection<DB>(path, { mode: 'write', changed: (change) => this.#changes.push(change) });
    const reader = openConnection<DB>(path, { mode: 'read', charge });
    this.#writer = writer;
    this.read = reader.db;
    // A connection that only reads loses its cache at each commit of the other one. So built reads go to the one that writes, between its groups:
    // then it has what was committed, and nothing else.
    this.#reads = goDirect(reader.db, {
      rows: (query, parameters) =>
        writer.isInTransaction() || !query.sql.startsWith('select')
          ? reader.rows(query, parameters)
          : charged(charge, () => writer.rows(query, parameters)),
    });
  }

  // The lock of its folder does so (store/folder-lock.ts).
  async hold(): Promise<void> {}

  async migrate(work: (trx: Transaction<DB>) => Promise<void>): Promise<void> {
    await this.#transact(work);
  }

  async group<T>(work: (group: WriteGroup<DB>) => Promise<T>): Promise<T> {
    let first: unknown;
    try {
      return await this.#transact(async (trx) => {
        await this.#assertInside(trx);
        return work({
          trx,
          write: (each) => {
            this.#changes.length = 0;
            return inSavepoint(
              this.#writer,
              () => each(trx),
              (error) => (first = error),
            );
          },
          changes: () => this.#changes.splice(0),
        });
      });
    } catch (last) {
      throw first ?? last;
    }
  }

  fence(query: string): void {
    this.#fence = CompiledQuery.raw(query);
  }

  async watch(tables: readonly WatchedTable[]): Promise<void> {
    for (const statement of watchStatements(tables)) await this.#writer.db.executeQuery(CompiledQuery.raw(statement));
  }

  async #assertInside(trx: Transaction<DB>): Promise<void> {
    if (this.#fence === undefined) return;
    const { rows } = await trx.executeQuery(this.#fence);
    if (rows.length !== 1) throw new FencedOut('this process may write no more');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#reads[Symbol.dispose]();
    await this.read.destroy();
    await this.#writer.db.destroy();
  }

  async #transact<T>(work: (trx: Transaction<DB>) => Promise<T>): Promise<T> {
    return this.#writer.db.transaction().execute(async (trx) => {
      using _ = goDirect(trx, this.#writer);
      return await work(trx);
    });
  }
}

function charged<T>(charge: Charge, work: () => T): T {
  const beganMs = performance.now();
  try {
    return work();
  } finally {
    charge(performance.now() - beganMs);
  }
}

const sqliteSql: SqlOfEngine = {
  createAdapter: () => new TransactionalAdapter(),
  createIntrospector: (db) => new SqliteIntrospector(db),
  createQueryCompiler: () => new SqliteQueryCompiler(),
};

const savepoint = {
  begin: CompiledQuery.raw('savepoint job'),
  release: CompiledQuery.raw('release savepoint job'),
  undo: CompiledQuery.raw('rollback to savepoint job'),
} as const;

// A full disk ends the whole transaction, and then no rollback works: `onLost` gets the original error before that.
async function inSavepoint<T>(
  connection: Pick<DirectConnection, 'rows'>,
  work: () => Promise<T>,
  onLost: (error: unknown) => void,
): Promise<Outcome<T>> {
  connection.rows(savepoint.begin);
  try {
    const value = await work();
    connection.rows(savepoint.release);
    return { kind: 'done', value };
  } catch (error) {
    try {
      connection.rows(savepoint.undo);
      connection.rows(savepoint.release);
    } catch (lost) {
      onLost(error);
      throw lost;
    }
    return { kind: 'failed', error };
  }
}
