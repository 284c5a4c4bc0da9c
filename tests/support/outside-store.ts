// The store of a hub as another program sees it, on the engine that it has: a test reads there what the hub has written, and writes what somebody else
// would. In the SQL that both engines have; a value is a `?`.
import { DatabaseSync } from 'node:sqlite';
import { asParameter, type Parameter } from '@edgekeep/hub/store/engine/parameter';
import type { StorePlace } from '@edgekeep/hub/store/engine/place';
import { clientConfig } from '@edgekeep/hub/store/engine/postgres-client';
import type { PostgresPlace } from '@edgekeep/hub/store/engine/postgres-place';
import { Client } from 'pg';

export type Row = Readonly<Record<string, unknown>>;

export interface OutsideStore {
  rows(sql: string, ...values: readonly Parameter[]): Promise<readonly Row[]>;
  /** Runs a statement; resolves to the number of rows that it changed. */
  run(sql: string, ...values: readonly Parameter[]): Promise<number>;
}

/** Opens the store beside its hub, which may run. */
export async function inStore<T>(place: StorePlace, act: (store: OutsideStore) => Promise<T>): Promise<T> {
  return typeof place === 'string'
    ? inFile(place, (file) => act(storeIn(file)))
    : inDatabase(place, (client) => act(storeOn(client)));
}

/** The rows that one query gives. */
export async function rowsIn(place: StorePlace, sql: string, ...values: readonly Parameter[]): Promise<readonly Row[]> {
  return inStore(place, (store) => store.rows(sql, ...values));
}

/** The entries of the log as the hub wrote them, parsed, oldest first. */
export async function loggedIn(place: StorePlace): Promise<readonly unknown[]> {
  const rows = await rowsIn(place, 'select entry from audit_entry order by log_index');
  return rows.map(({ entry }): unknown => JSON.parse(textOf(entry)));
}

/** The bytes of a column as text. */
export function textOf(bytes: unknown): string {
  if (!(bytes instanceof Uint8Array)) throw new TypeError('this column has no bytes');
  return Buffer.from(bytes).toString('utf8');
}

export async function inFile<T>(path: string, act: (file: DatabaseSync) => Promise<T>): Promise<T> {
  using file = new DatabaseSync(path);
  file.exec('PRAGMA busy_timeout = 60000');
  return await act(file);
}

export async function inDatabase<T>(place: PostgresPlace, act: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(clientConfig(place, 'write'));
  await client.connect();
  try {
    return await act(client);
  } finally {
    await client.end();
  }
}

export function storeIn(file: DatabaseSync): OutsideStore {
  return {
    async rows(sql, ...values) {
      return file.prepare(sql).all(...values);
    },
    async run(sql, ...values) {
      return Number(file.prepare(sql).run(...values).changes);
    },
  };
}

export function storeOn(client: Client): OutsideStore {
  const query = (sql: string, values: readonly Parameter[]) =>
    client.query<Row>(numbered(sql), values.map(asParameter));
  return {
    async rows(sql, ...values) {
      return (await query(sql, values)).rows;
    },
    async run(sql, ...values) {
      return (await query(sql, values)).rowCount ?? 0;
    },
  };
}

/** PostgreSQL numbers the values. No statement of a test has a question mark in a text. */
function numbered(sql: string): string {
  let count = 0;
  return sql.replaceAll('?', () => `$${(count += 1)}`);
}
