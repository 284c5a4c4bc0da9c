// SQLite in this process: one file, one connection that writes, one that reads.
import { CompiledQuery, type Kysely, sql, SqliteIntrospector, SqliteQueryCompiler, type Transaction } from 'kysely';
import type { Charge, Engine, Outcome, SqlOfEngine, WriteGroup } from './engine.ts';
import { FencedOut } from './fenced-out.ts';
import { type RowChange, type WatchedTable, watchStatements } from './row-watch.ts';
import { openSqlite, TransactionalAdapter } from './sqlite.ts';

export class SqliteEngine<DB> implements Engine<DB> {
  readonly read: Kysely<DB>;
  readonly sql = sqliteSql;
  readonly isShared = false;
  readonly clock = sql<number>`cast(unixepoch('subsec') * 1000 as integer)`;
  readonly #writer: Kysely<DB>;
  #fence: CompiledQuery | undefined;
  /** Changed rows of the write that runs now. */
  readonly #changes: RowChange[] = [];

  /** Opens the file at `path`, and makes it where there is none. */
  constructor(path: string, charge: Charge) {
    this.#writer = openSqlite<DB>(path, { mode: 'write', changed: (change) => this.#changes.push(change) });
    this.read = openSqlite<DB>(path, { mode: 'read', charge });
  }

  // The lock of its folder does so (store/folder-lock.ts).
  async hold(): Promise<void> {}

  async migrate(work: (trx: Transaction<DB>) => Promise<void>): Promise<void> {
    await this.#writer.transaction().execute(work);
  }

  async group<T>(work: (group: WriteGroup<DB>) => Promise<T>): Promise<T> {
    let first: unknown;
    try {
      return await this.#writer.transaction().execute(async (trx) => {
        await this.#assertInside(trx);
        return work({
          trx,
          write: (each) => {
            this.#changes.length = 0;
            return inSavepoint(trx, each, (error) => (first = error));
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
    for (const statement of watchStatements(tables)) await this.#writer.executeQuery(CompiledQuery.raw(statement));
  }

  async #assertInside(trx: Transaction<DB>): Promise<void> {
    if (this.#fence === undefined) return;
    const { rows } = await trx.executeQuery(this.#fence);
    if (rows.length !== 1) throw new FencedOut('this process may write no more');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.read.destroy();
    await this.#writer.destroy();
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
async function inSavepoint<DB, T>(
  trx: Transaction<DB>,
  work: (trx: Transaction<DB>) => Promise<T>,
  onLost: (error: unknown) => void,
): Promise<Outcome<T>> {
  await trx.executeQuery(savepoint.begin);
  try {
    const value = await work(trx);
    await trx.executeQuery(savepoint.release);
    return { kind: 'done', value };
  } catch (error) {
    try {
      await trx.executeQuery(savepoint.undo);
      await trx.executeQuery(savepoint.release);
    } catch (lost) {
      onLost(error);
      throw lost;
    }
    return { kind: 'failed', error };
  }
}
