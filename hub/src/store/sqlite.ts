// node:sqlite behind Kysely's SQLite dialect, durable: WAL with synchronous=FULL, so a commit that returned survives a power cut.
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Kysely, SqliteAdapter, type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely';
import { LruMap } from 'toad-cache';
import { hearRowChanges, readRows, type RowChange } from './row-watch.ts';
import type { Tables } from './schema.ts';
import { worked } from './work.ts';

// Statements stay prepared: the hub has a fixed set of queries, so this only limits a mistake.
const STATEMENTS_MAX = 500;

// Rows of 10,000 devices are 40 MB: the data that the writer changes all the time stays in its cache of 64 MiB. The log is copied into the
// database every 16 MB instead of every 4, because the commit that does so waits for the disk once more. Neither changes what is durable.
const writerTuning = 'PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=4000;';

/** Opens one connection. `mode` 'read' gives one that cannot write. `changed` hears of rows once triggers are made (row-watch.ts). */
export function openSqlite(
  path: string,
  mode: 'write' | 'read',
  changed?: (change: RowChange) => void,
): Kysely<Tables> {
  const database = new DatabaseSync(path, {
    readOnly: mode === 'read',
    enableForeignKeyConstraints: true,
    timeout: 5_000,
  });
  readRows(database);
  if (changed !== undefined) hearRowChanges(database, changed);
  if (mode === 'write') database.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; ${writerTuning}`);
  return new Kysely<Tables>({
    dialect: new Dialect({ database: asDialectDatabase(database, mode === 'read' ? worked : (work) => work()) }),
  });
}

// SQLite undoes changes of the schema with their transaction, but Kysely's adapter says no. Then each statement of a migration would be
// durable alone, and a hub that died between two of them would find half a migration at each later start.
class Adapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class Dialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new Adapter();
  }
}

type Run = <T>(work: () => T) => T;

function asDialectDatabase(database: DatabaseSync, run: Run): SqliteDatabase {
  const prepared = new LruMap<SqliteStatement>(STATEMENTS_MAX);
  return {
    close: () => database.close(),
    prepare: (text) => {
      const known = prepared.get(text);
      if (known !== undefined) return known;
      const asked = asDialectStatement(database.prepare(text), run);
      const statement = text === 'rollback' ? whereOneIsOpen(database, asked) : asked;
      prepared.set(text, statement);
      return statement;
    },
  };
}

/** A full disk ends the transaction in SQLite itself: a rollback that failed after it would hide the cause. */
function whereOneIsOpen(database: DatabaseSync, rollback: SqliteStatement): SqliteStatement {
  return {
    ...rollback,
    run: (parameters) => (database.isTransaction ? rollback.run(parameters) : { changes: 0, lastInsertRowid: 0 }),
  };
}

function asDialectStatement(statement: StatementSync, run: Run): SqliteStatement {
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => run(() => statement.all(...parameters.map(asInput))),
    run: (parameters) => statement.run(...parameters.map(asInput)),
    iterate: (parameters) => statement.iterate(...parameters.map(asInput)),
  };
}

/** The types that a query may have as a parameter. */
export function asInput(value: unknown): SQLInputValue {
  if (value === null || typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string')
    return value;
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`a ${typeof value} is no SQL value here: convert it first`);
}
