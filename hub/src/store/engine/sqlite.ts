// node:sqlite behind Kysely's SQLite dialect, durable: WAL with synchronous=FULL, so a commit that returned survives a power cut.
import { performance } from 'node:perf_hooks';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  type SqliteDatabase,
  SqliteDialect,
  SqliteDriver,
  type SqliteStatement,
} from 'kysely';
import { LruMap } from 'toad-cache';
import type { DirectConnection } from './direct.ts';
import type { Charge } from './engine.ts';
import { asParameter } from './parameter.ts';
import { withRowSql } from './row-sql.ts';
import { hearRowChanges, readRows, type RowChange } from './row-watch.ts';
import { sqliteRows } from './sqlite-rows.ts';

// Statements stay prepared: the hub has a fixed set of queries, so this only limits a mistake.
const STATEMENTS_MAX = 500;

// Rows of 10,000 devices are 40 MB: the data that the writer changes all the time stays in its cache of 64 MiB. The log is copied into the
// database every 16 MB instead of every 4, because the commit that does so waits for the disk once more. Neither changes what is durable.
const writerTuning = 'PRAGMA cache_size=-65536; PRAGMA wal_autocheckpoint=4000;';

export interface SqliteOptions {
  /** `read` gives a connection that cannot write. */
  readonly mode: 'write' | 'read';
  /** Hears of rows once triggers are made (row-watch.ts). */
  readonly changed?: (change: RowChange) => void;
  /** Hears of the time of each query that gives rows. */
  readonly charge?: Charge;
}

/** Opens one connection, for Kysely. */
export function openSqlite<DB>(path: string, options: SqliteOptions): Kysely<DB> {
  return openConnection<DB>(path, options).db;
}

export interface OpenConnection<DB> extends DirectConnection {
  readonly db: Kysely<DB>;
  isInTransaction(): boolean;
}

/** Opens one connection, for Kysely and for statements without it. */
export function openConnection<DB>(path: string, { mode, changed, charge }: SqliteOptions): OpenConnection<DB> {
  const database = new DatabaseSync(path, {
    readOnly: mode === 'read',
    enableForeignKeyConstraints: true,
    timeout: 5_000,
  });
  readRows(database);
  if (changed !== undefined) hearRowChanges(database, changed);
  if (mode === 'write') database.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; ${writerTuning}`);
  const run = charge === undefined ? unmeasured : measured(charge);
  const statements = asDialectDatabase(database, run);
  return {
    db: withRowSql(new Kysely<DB>({ dialect: new TransactionalDialect(statements) }), sqliteRows),
    isInTransaction: () => database.isTransaction,
    rows<Row>(query: CompiledQuery<Row>, parameters = query.parameters): readonly Row[] {
      const statement = statements.prepare(query.sql);
      if (statement.reader) return rowsOf(query, statement.all(parameters));
      statement.run(parameters);
      return [];
    },
  };
}

// What a row is, the query says.
function rowsOf<Row>(query: CompiledQuery<Row>, rows: readonly unknown[]): readonly Row[];
function rowsOf(_: CompiledQuery, rows: readonly unknown[]): readonly unknown[] {
  return rows;
}

type Run = <T>(work: () => T) => T;

const unmeasured: Run = (work) => work();

// A query blocks the event loop, so the elapsed time is its own work.
function measured(charge: Charge): Run {
  return (work) => {
    const beganMs = performance.now();
    try {
      return work();
    } finally {
      charge(performance.now() - beganMs);
    }
  };
}

// SQLite undoes changes of the schema with their transaction, but Kysely's adapter says no. Then each statement of a migration would be
// durable alone, and a hub that died between two of them would find half a migration at each later start.
export class TransactionalAdapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

class TransactionalDialect extends SqliteDialect {
  readonly #database: SqliteDatabase;

  constructor(database: SqliteDatabase) {
    super({ database });
    this.#database = database;
  }

  override createDriver(): Driver {
    return new PartsDriver({ database: this.#database });
  }

  override createAdapter(): SqliteAdapter {
    return new TransactionalAdapter();
  }
}

// Kysely's own gives a stream row by row, and each passes several layers of promises.
class PartsDriver extends SqliteDriver {
  #connection: DatabaseConnection | undefined;

  override async acquireConnection(): Promise<DatabaseConnection> {
    this.#connection ??= partsOn(await super.acquireConnection());
    return this.#connection;
  }
}

function partsOn(connection: DatabaseConnection): DatabaseConnection {
  return {
    executeQuery: (query) => connection.executeQuery(query),
    streamQuery: (query, size) => inParts(connection.streamQuery(query, size), size),
  };
}

async function* inParts<Row>(
  stream: AsyncIterableIterator<QueryResult<Row>>,
  size: number,
): AsyncIterableIterator<QueryResult<Row>> {
  let part: Row[] = [];
  for await (const { rows } of stream) {
    part.push(...rows);
    if (part.length < size) continue;
    yield { rows: part };
    part = [];
  }
  yield { rows: part };
}

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
    all: (parameters) => run(() => statement.all(...parameters.map(asParameter))),
    run: (parameters) => statement.run(...parameters.map(asParameter)),
    iterate: (parameters) => statement.iterate(...parameters.map(asParameter)),
  };
}
