// Connections to PostgreSQL that queries share: for reads, and, with one connection, for migrations.
import { performance } from 'node:perf_hooks';
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely';
import { type ClientBase, DatabaseError, Pool, type PoolClient } from 'pg';
import type { Charge } from './engine.ts';
import { clientConfig, type ConnectionMode } from './postgres-client.ts';
import { asStoreFailure, inWords } from './postgres-failures.ts';
import type { PostgresPlace } from './postgres-place.ts';
import { checked, runQuery } from './postgres-query.ts';

const IDLE_MS_MAX = 60_000;

export interface PoolOptions {
  readonly mode: ConnectionMode;
  readonly maxConnections: number;
  /** Hears of the time of each query: the server works for whom asks. */
  readonly charge?: Charge;
}

export class PostgresPool implements Driver {
  readonly #pool: Pool;
  readonly #options: PoolOptions;

  constructor(place: PostgresPlace, options: PoolOptions) {
    const { maxConnections: max } = options;
    this.#pool = new Pool({ ...clientConfig(place, options.mode), max, idleTimeoutMillis: IDLE_MS_MAX });
    this.#options = options;
    // An idle connection was lost: the next query gets a new one. One that is taken, and lost between two queries, says so to the next of them.
    this.#pool.on('error', () => undefined);
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<PoolConnection> {
    return new PoolConnection(await inWords(() => this.#pool.connect()), this.#options);
  }

  async beginTransaction(connection: PoolConnection): Promise<void> {
    // One that only reads sees the store as it was at its first query.
    await connection.client.query(this.#options.mode === 'read' ? 'begin isolation level repeatable read' : 'begin');
  }

  async commitTransaction(connection: PoolConnection): Promise<void> {
    const { command } = await connection.client.query('commit');
    if (command !== 'COMMIT') throw new Error('a statement of this transaction failed before its commit');
  }

  async rollbackTransaction(connection: PoolConnection): Promise<void> {
    await connection.client.query('rollback');
  }

  async releaseConnection(connection: PoolConnection): Promise<void> {
    connection.client.release(connection.broken);
  }

  /** Runs `work` with a connection of the pool, without Kysely. */
  async use<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    try {
      return await work(client);
    } finally {
      client.release();
    }
  }

  async destroy(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end();
  }
}

class PoolConnection implements DatabaseConnection {
  readonly client: PoolClient;
  readonly #options: PoolOptions;
  /** Whether the connection itself failed, and not a query on it. */
  broken = false;
  #streams = 0;

  constructor(client: PoolClient, options: PoolOptions) {
    this.client = client;
    this.#options = options;
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const { mode, charge } = this.#options;
    const question = mode === 'read' ? checked(query) : query;
    const beganMs = performance.now();
    try {
      return await runQuery<Row>(this.client, question, mode === 'read');
    } catch (error) {
      this.broken = !(error instanceof DatabaseError);
      throw asStoreFailure(error);
    } finally {
      charge?.(performance.now() - beganMs);
    }
  }

  /** Within a transaction, whose end closes the cursor. Only one part of this many rows is in memory. */
  async *streamQuery<Row>(query: CompiledQuery, size: number): AsyncIterableIterator<QueryResult<Row>> {
    const { sql, parameters } = checked(query);
    const cursor = `stream${(this.#streams += 1)}`;
    await this.client.query(`declare ${cursor} no scroll cursor for ${sql}`, [...parameters]);
    for (;;) {
      const { rows } = await this.client.query<never>(`fetch ${size} from ${cursor}`);
      yield { rows };
      if (rows.length < size) return;
    }
  }
}
