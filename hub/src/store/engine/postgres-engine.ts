// PostgreSQL as the store (docs/design/postgresql.md).
import { type CompiledQuery as Query, CompiledQuery, Kysely, sql, type Transaction } from 'kysely';
import type { Engine, EngineOptions, Outcome, SqlOfEngine, WriteGroup } from './engine.ts';
import { countRows } from './numbered-rows.ts';
import type { PostgresPlace } from './postgres-place.ts';
import { PostgresPool } from './postgres-pool.ts';
import { inWords } from './postgres-failures.ts';
import { postgresRows } from './postgres-rows.ts';
import { assertFit } from './postgres-server.ts';
import { nullableColumns, postgresSql } from './postgres-sql.ts';
import { changeIn, listen, watchStatements } from './postgres-watch.ts';
import { PostgresWriter } from './postgres-writer.ts';
import { withRowSql } from './row-sql.ts';
import type { RowChange, WatchedTable } from './row-watch.ts';

// Reads of requests wait for a connection; long ones have the reading thread.
const READERS_MAX = 4;
// Of the transaction in which a store is made and migrated: a hub and its tools do so one after the other.
const MIGRATION_LOCK = 4_913_206_575_101n;

// What the migrations need to run here as they are: their type for bytes, and the smaller of two numbers.
const asMigrationsExpect = [
  'create schema if not exists engine',
  `do $$ begin create domain blob as bytea; exception when duplicate_object then null; end $$`,
  'create or replace function min(a bigint, b bigint) returns bigint immutable language sql as $$ select least(a, b) $$',
];
// A group of another node holds this row and locks of tables: who waits for those tables while it holds some would end that group.
const headLock = 'select id from engine.head where id = 1 for update';
const ownTables = [
  // Rows that somebody wrote refer to each other: they are removed in any order (audit/security-state.ts).
  `do $$ declare each record; begin
    for each in select conrelid::regclass as place, conname from pg_constraint where contype = 'f' and not condeferrable and connamespace = 'public'::regnamespace
    loop execute format('alter table %s alter constraint %I deferrable', each.place, each.conname); end loop; end $$`,
  'drop function min(bigint, bigint)',
  'create table if not exists engine.head (id integer primary key)',
  'insert into engine.head values (1) on conflict do nothing',
  'create table if not exists engine.writer (id uuid primary key, number bigint not null, at timestamptz not null default now())',
  "delete from engine.writer where at < now() - interval '30 days'",
];

export class PostgresEngine<DB> implements Engine<DB> {
  readonly read: Kysely<DB>;
  readonly sql: SqlOfEngine;
  readonly isShared = true;
  readonly clock = sql<number>`(extract(epoch from clock_timestamp()) * 1000)::bigint`;
  readonly #place: PostgresPlace;
  readonly #nullable = new Set<string>();
  readonly #readers: PostgresPool;
  readonly #writer: PostgresWriter;
  readonly #writing: Kysely<DB>;
  /** Changed rows of the write that runs now. */
  readonly #changes: RowChange[] = [];

  constructor(place: PostgresPlace, { charge, numbered }: EngineOptions) {
    this.#place = place;
    this.sql = postgresSql(this.#nullable);
    this.#readers = new PostgresPool(place, { mode: 'read', maxConnections: READERS_MAX, charge });
    this.read = new Kysely<DB>({ dialect: { ...this.sql, createDriver: () => this.#readers } });
    this.#writer = new PostgresWriter(place, numbered, (notice) => {
      const change = changeIn(notice);
      if (change !== undefined) this.#changes.push(change);
      return change !== undefined;
    });
    this.#writing = withRowSql(
      new Kysely<DB>({ dialect: { ...this.sql, createDriver: () => this.#writer } }),
      postgresRows,
    );
    countRows(this.#writing, this.#writer.rows);
  }

  async hold(): Promise<void> {
    await inWords(() => this.#writer.hold(), this.#place);
  }

  async migrate(work: (trx: Transaction<DB>) => Promise<void>): Promise<void> {
    await inWords(() => this.#migrate(work), this.#place);
  }

  async #migrate(work: (trx: Transaction<DB>) => Promise<void>): Promise<void> {
    const one = this.#one();
    const db = withRowSql(new Kysely<DB>({ dialect: { ...this.sql, createDriver: () => one } }), postgresRows);
    try {
      await one.use((client) => assertFit(client, this.#place));
      await db.transaction().execute(async (trx) => {
        await trx.executeQuery(raw(`select pg_advisory_xact_lock(${MIGRATION_LOCK})`));
        for (const statement of await beforeMigrations(trx)) await trx.executeQuery(raw(statement));
        await work(trx);
        for (const statement of ownTables) await trx.executeQuery(raw(statement));
      });
      for (const name of await one.use(nullableColumns)) this.#nullable.add(name);
    } finally {
      await db.destroy();
      await one.destroy();
    }
  }

  /** Runs the group without savepoints; where one of its writes fails after it wrote, all of it again with them. */
  async group<T>(work: (group: WriteGroup<DB>) => Promise<T>): Promise<T> {
    try {
      return await this.#attempt(work, (trx, each) => this.#together(trx, each));
    } catch (error) {
      if (!(error instanceof UndoneTogether)) throw error;
      return this.#attempt(work, (trx, each) => this.#inSavepoint(trx, each));
    }
  }

  fence(query: string): void {
    this.#writer.fence = query;
  }

  async watch(tables: readonly WatchedTable[]): Promise<void> {
    const one = this.#one();
    try {
      await one.use(async (client) => {
        const statements = await watchStatements(client, tables);
        const lock = `select pg_advisory_xact_lock(${MIGRATION_LOCK})`;
        await client.query(['begin', lock, headLock, ...statements, 'commit'].join(';\n'));
      });
    } finally {
      await one.destroy();
    }
    await this.#writer.always([listen]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Kysely ends a driver only after its first query.
    await this.#readers.destroy();
    await this.#writer.destroy();
  }

  #attempt<T>(work: (group: WriteGroup<DB>) => Promise<T>, write: Write<DB>): Promise<T> {
    return this.#writing.transaction().execute((trx) =>
      work({
        trx,
        write: (each) => {
          this.#changes.length = 0;
          return write(trx, each);
        },
        changes: () => this.#changes.splice(0),
      }),
    );
  }

  async #together<T>(trx: Transaction<DB>, each: (trx: Transaction<DB>) => Promise<T>): Promise<Outcome<T>> {
    const { writes } = this.#writer;
    let outcome: Outcome<T>;
    try {
      outcome = { kind: 'done', value: await each(trx) };
    } catch (error) {
      outcome = { kind: 'failed', error };
    }
    // Most writes that are refused have only read.
    const nothingToUndo = outcome.kind === 'done' || this.#writer.writes === writes;
    if (this.#writer.failed || !nothingToUndo) throw new UndoneTogether();
    return outcome;
  }

  async #inSavepoint<T>(trx: Transaction<DB>, each: (trx: Transaction<DB>) => Promise<T>): Promise<Outcome<T>> {
    await trx.executeQuery(savepoint.begin);
    try {
      const value = await each(trx);
      await this.#writer.rows.flush();
      await trx.executeQuery(savepoint.release);
      return { kind: 'done', value };
    } catch (error) {
      await trx.executeQuery(savepoint.undo);
      await trx.executeQuery(savepoint.release);
      this.#writer.rows.forget();
      return { kind: 'failed', error };
    }
  }

  /** A connection for work beside reads and groups. */
  #one(): PostgresPool {
    return new PostgresPool(this.#place, { mode: 'write', maxConnections: 1 });
  }
}

/** One connection, which only reads. */
export async function openPostgresReader<DB>(place: PostgresPlace): Promise<Kysely<DB>> {
  const driver = new PostgresPool(place, { mode: 'read', maxConnections: 1 });
  const sql = postgresSql(new Set(await inWords(() => driver.use(nullableColumns), place)));
  return withRowSql(new Kysely<DB>({ dialect: { ...sql, createDriver: () => driver } }), postgresRows);
}

type Write<DB> = <T>(trx: Transaction<DB>, each: (trx: Transaction<DB>) => Promise<T>) => Promise<Outcome<T>>;

/** A write failed whose statements cannot be undone apart from those of the others. */
class UndoneTogether extends Error {
  override readonly name = 'UndoneTogether';
}

async function beforeMigrations<DB>(trx: Transaction<DB>): Promise<readonly string[]> {
  const { rows } = await trx.executeQuery<{ head: string | null }>(
    raw("select to_regclass('engine.head')::text as head"),
  );
  return rows[0]?.head === null ? asMigrationsExpect : [headLock, ...asMigrationsExpect];
}

function raw(text: string): Query {
  return CompiledQuery.raw(text);
}

const savepoint = {
  begin: raw('savepoint job'),
  release: raw('release savepoint job'),
  undo: raw('rollback to savepoint job'),
} as const;
