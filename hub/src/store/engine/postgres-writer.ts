// The connection of a hub's groups of writes. Each group locks one row first, so that groups of several hubs, and of a hub and its tools, come one
// after the other, as on SQLite. A commit whose answer was lost is looked up by a number that its transaction wrote.
import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import type { CompiledQuery, DatabaseConnection, Driver, QueryResult } from 'kysely';
import { Client, DatabaseError } from 'pg';
import { messageOf } from '@edgekeep/core/message-of';
import { HubError } from '../../common/error.ts';
import { CountedRows } from './counted-rows.ts';
import { FencedOut } from './fenced-out.ts';
import type { NumberedTable } from './numbered-rows.ts';
import { OutcomeUnknown } from './outcome-unknown.ts';
import { clientConfig } from './postgres-client.ts';
import { asStoreFailure, inWords } from './postgres-failures.ts';
import { holdDatabase, holderName } from './postgres-hold.ts';
import type { PostgresPlace } from './postgres-place.ts';
import { checked, runQuery } from './postgres-query.ts';
import { foreignSql } from './postgres-rows.ts';
import { assertFit } from './postgres-server.ts';
import type { Notice } from './postgres-watch.ts';

const LOOKUP_PAUSE_MS = 250;

export class PostgresWriter implements Driver, DatabaseConnection {
  readonly rows: CountedRows;
  /** Must find a row after the lock of each group. */
  fence: string | undefined;
  readonly #place: PostgresPlace;
  /** Whether a notice reports a changed row. */
  readonly #onNotice: (notice: Notice) => boolean;
  /** Of this connection among those that write. */
  readonly #id = randomUUID();
  #holds = false;
  /** Run on each new connection. */
  #setUp: readonly string[] = [];
  #client: Client | undefined;
  #group = 0;
  /** The newest group that the server said it has. */
  #committed = 0;
  /** Statements of this group that wrote, and whether the server has ended its transaction. */
  #writes = 0;
  #failed = false;
  /** Whether rows that the log vouches for were changed in this group; an error where a report was none. */
  #reported: boolean | Error = false;

  constructor(place: PostgresPlace, numbered: NumberedTable, onNotice: (notice: Notice) => boolean) {
    this.#place = place;
    this.#onNotice = onNotice;
    const ask = async (sql: string, parameters: readonly unknown[]) =>
      (await this.#live().query<never>(sql, [...parameters])).rows;
    this.rows = new CountedRows(numbered, ask, () => (this.#writes += 1));
  }

  get writes(): number {
    return this.#writes;
  }

  /** Whether a statement failed: every further one of this transaction will. */
  get failed(): boolean {
    return this.#failed;
  }

  /** Runs these statements on this connection, and on each that replaces it. */
  async always(statements: readonly string[]): Promise<void> {
    this.#setUp = [...this.#setUp, ...statements];
    for (const statement of statements) await this.#client?.query(statement);
  }

  /** From now on no other hub writes to the database. */
  async hold(): Promise<void> {
    this.#holds = true;
    await this.#drop();
    await this.acquireConnection();
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<this> {
    this.#client ??= await inWords(() => this.#connect());
    return this;
  }

  beginTransaction(): Promise<void> {
    return inWords(() => this.#beginGroup());
  }

  commitTransaction(): Promise<void> {
    return inWords(() => this.#commitGroup());
  }

  async rollbackTransaction(): Promise<void> {
    this.rows.forget();
    // A lost connection has undone it.
    await this.#client?.query('rollback').catch(() => this.#drop());
  }

  async releaseConnection(): Promise<void> {}

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const question = checked(query);
    if (!query.sql.startsWith('select')) this.#writes += 1;
    try {
      if (this.rows.isIn(query.sql)) await this.rows.flush();
      return await runQuery<Row>(this.#live(), question, true);
    } catch (error) {
      this.#failed = true;
      throw asStoreFailure(error);
    }
  }

  streamQuery(): never {
    throw new TypeError('a group of writes reads no streams');
  }

  async destroy(): Promise<void> {
    await this.#drop();
  }

  async #beginGroup(): Promise<void> {
    this.#group += 1;
    this.#writes = 0;
    this.#failed = false;
    this.#reported = false;
    this.rows.forget();
    try {
      await this.#begin();
    } catch (error) {
      if (this.#client !== undefined && (error instanceof FencedOut || !isEnd(error))) {
        // Kysely undoes only what has begun, and a part of this has.
        await this.rollbackTransaction();
        throw error;
      }
      // An idle connection may have ended without a word, and nothing has begun on it.
      await this.#drop();
      await this.acquireConnection();
      await this.#begin();
    }
  }

  async #commitGroup(): Promise<void> {
    await this.rows.flush();
    await this.#assertOwnReports();
    try {
      const { command } = await this.#live().query('commit');
      if (command !== 'COMMIT') throw new Error('a statement of this group failed before its commit');
      this.#committed = this.#group;
    } catch (cause) {
      // After any error: a server that is shut down may end a connection with one although it has committed.
      await this.#drop();
      if (!(await this.#isCommitted(cause))) throw cause;
      this.#committed = this.#group;
    }
  }

  #hear(notice: Notice): void {
    try {
      if (this.#onNotice(notice)) this.#reported ||= true;
    } catch (cause) {
      this.#reported = new Error('a report of a changed row cannot be read', { cause });
    }
  }

  // What somebody planted for a moment would change rows, or report some that nobody changed, and the log would vouch for them. A trigger or rule that
  // acted in this group cannot be gone: its table is locked until the commit.
  async #assertOwnReports(): Promise<void> {
    if (this.#reported === false) return;
    const { rows } = await this.#live().query<{ kind: string; name: string }>({ name: 'planted', text: foreignSql });
    const [first] = rows;
    const what = first === undefined ? this.#reported : `the store has a ${first.kind} ${first.name}`;
    if (what === true) return;
    const cause = what instanceof Error ? { cause: what } : {};
    throw new HubError('state-refused', `${messageOf(what)}, and a hub makes none: nothing was changed`, cause);
  }

  // One round trip. Each statement sees what was committed before it: the lock comes first.
  async #begin(): Promise<void> {
    const lock = `begin; select id from engine.head where id = 1 for update; insert into engine.writer (id, number) values ('${this.#id}', ${this.#group}) on conflict (id) do update set number = excluded.number, at = now()`;
    if (this.fence === undefined) {
      await this.#live().query(lock);
      return;
    }
    // `pg` answers several statements with several results.
    const results: unknown = await this.#live().query(`${lock}; ${this.fence}`);
    const last: unknown = Array.isArray(results) ? results.at(-1) : undefined;
    if (!isFound(last)) throw new FencedOut('this process may write no more');
  }

  #live(): Client {
    if (this.#client === undefined) throw new Error('the connection to PostgreSQL was lost');
    return this.#client;
  }

  async #connect(): Promise<Client> {
    const client = new Client({ ...clientConfig(this.#place, 'write'), application_name: holderName(this.#id) });
    // The query that runs fails as well; without one, the next group connects again.
    const lost = () => {
      if (this.#client === client) this.#client = undefined;
    };
    client.on('error', lost);
    client.on('end', lost);
    client.on('notice', (notice) => this.#hear(notice));
    try {
      await client.connect();
      // Another server may answer than before.
      await assertFit(client, this.#place);
      if (this.#holds) await holdDatabase(client, this.#place, holderName(this.#id));
      if (this.#committed > 0) await assertKept(client, this.#id, this.#committed);
      for (const statement of this.#setUp) await client.query(statement);
    } catch (error) {
      // It may have ended already, and the error says why.
      await client.end().catch(() => undefined);
      throw error;
    }
    return client;
  }

  async #drop(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    // It may be lost already.
    await client?.end().catch(() => undefined);
  }

  /** Whether the newest group was committed; as long as nobody knows, no other begins. Throws `OutcomeUnknown` with what was lost as its cause. */
  async #isCommitted(cause: unknown): Promise<boolean> {
    const untilMs = performance.now() + this.#place.lookupMs;
    for (;;) {
      try {
        this.#client ??= await this.#connect();
        // The lock waits for the end of the lost transaction.
        await this.#client.query('begin; select id from engine.head where id = 1 for update');
        const { rows } = await this.#client.query<{ number: number }>(
          'select number from engine.writer where id = $1',
          [this.#id],
        );
        await this.#client.query('commit');
        return rows[0]?.number === this.#group;
      } catch (error) {
        if (error instanceof HubError && error.code === 'log-rewritten') throw error;
        // The server may still be starting: it is asked again.
        await this.#drop();
        if (performance.now() > untilMs)
          throw new OutcomeUnknown('the connection was lost during a commit, and the server did not come back', {
            cause,
          });
        await setTimeout(LOOKUP_PAUSE_MS);
      }
    }
  }
}

/**
 * A standby that was not synchronous takes over without the last commits of the server before it. A hub that went on would sign a log with entries
 * that the store does not have. Throws `log-rewritten`.
 */
async function assertKept(client: Client, id: string, committed: number): Promise<void> {
  const { rows } = await client.query<{ number: number }>('select number from engine.writer where id = $1', [id]);
  if ((rows[0]?.number ?? 0) >= committed) return;
  throw new HubError(
    'log-rewritten',
    'the database lacks changes that it had acknowledged: a standby without them took over, or it was restored. The hub ends (docs/scale.md)',
  );
}

function isFound(result: unknown): boolean {
  return typeof result === 'object' && result !== null && 'rowCount' in result && result.rowCount === 1;
}

// `severity` is in the language of the server: the codes are not. An operator's intervention, a connection's failure, a timeout that ends it.
const endCodes = /^(?:57P|08|25P0[34])/;

/** Whether an error ended the connection. */
function isEnd(error: unknown): boolean {
  return !(error instanceof DatabaseError) || error.code === undefined || endCodes.test(error.code);
}
