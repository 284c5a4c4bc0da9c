// A database of PostgreSQL as one end of a copy.
import type { ClientBase } from 'pg';
import { z } from 'zod';
import { messageOf } from '@edgekeep/core/message-of';
import { HubError } from '../../common/error.ts';
import { isOfContent } from '../engine/failures.ts';
import { rowName, rowText } from '../engine/postgres-watch.ts';
import type { CopySource, CopyTarget, RowText } from './copy-end.ts';
import type { Cell, CellKind, TableShape } from '../table-shape.ts';

const cell: z.ZodType<Cell> = z.union([z.null(), z.number(), z.string(), z.instanceof(Uint8Array)]);
const row = z.array(cell);
const textRow = z.tuple([z.string(), z.string()]);

// Of one answer of the server: it is in memory as text first.
const FETCH_ROWS_MAX = 1_000;
const FETCH_BYTES = 2_097_152;

type Ask = (sql: string, parameters: readonly unknown[]) => Promise<unknown>;

/** `client` is in a transaction that sees one state: REPEATABLE READ, read only. */
export function postgresSource(client: ClientBase): CopySource {
  return {
    async *rows({ table, columns }) {
      const names = columns.map(({ name }) => `"${name}"`).join(', ');
      for await (const each of fetched(client, `select ${names} from public."${table}"`)) yield row.parse(each);
    },
    async *texts({ table, columns, key }): AsyncGenerator<RowText> {
      const kinds = new Map(columns.map(({ name, kind }) => [name, types[kind]]));
      const names = columns.map(({ name }) => name);
      const text = rowText({ table, columns: names }, 'r', (_, column) => kinds.get(column) ?? '');
      const order = key.map((name) => `r."${name}"`).join(', ');
      const sql = `select ${rowName({ columns: key }, 'r')}, ${text} from public."${table}" r order by ${order}`;
      for await (const each of fetched(client, sql)) {
        const [name, content] = textRow.parse(each);
        yield { name, text: content };
      }
    },
  };
}

/** `ask` runs a statement in the transaction of the copy. */
export function postgresTarget(ask: Ask): CopyTarget {
  return {
    clear: async (table) => void (await ask(`delete from public."${table}"`, [])),
    insert: async (shape, rows) => {
      const { table, columns } = shape;
      const names = columns.map(({ name }) => `"${name}"`).join(', ');
      const lists = columns.map(({ kind }, at) => `$${at + 1}::${types[kind]}[]`).join(', ');
      const values = columns.map((_, at) => rows.map((each) => storable(each[at] ?? null, shape, each)));
      try {
        await ask(`insert into public."${table}" (${names}) select * from unnest(${lists})`, values);
      } catch (cause) {
        // The server has no place for a value: a number is too large, a text too long for an index.
        if (!isOfContent(cause)) throw cause;
        throw new HubError('move-refused', `PostgreSQL cannot store a row of ${table}: ${messageOf(cause)}`, { cause });
      }
    },
  };
}

const types: Readonly<Record<CellKind, string>> = { text: 'text', integer: 'int8', real: 'float8', bytes: 'bytea' };

function storable(value: Cell, { table, columns, key }: TableShape, of: readonly Cell[]): Cell {
  if (typeof value !== 'string' || !value.includes('\0')) return value;
  const name = columns.flatMap((column, at) => (key.includes(column.name) ? [String(of[at])] : [])).join(' ');
  throw new HubError(
    'move-refused',
    `PostgreSQL stores no text with the character U+0000, and the row "${name.replaceAll('\0', '?')}" of ${table} has one: change it first, while the hub runs on SQLite`,
  );
}

/** The rows of a query by a cursor, as arrays. */
async function* fetched(client: ClientBase, sql: string): AsyncGenerator {
  await client.query(`declare copied no scroll cursor for ${sql}`);
  let count = 50;
  try {
    for (;;) {
      const { rows } = await client.query<unknown[]>({ text: `fetch ${count} from copied`, rowMode: 'array' });
      yield* rows;
      if (rows.length < count) return;
      count = Math.max(1, Math.min(FETCH_ROWS_MAX, Math.floor((count * FETCH_BYTES) / sizeOf(rows))));
    }
  } finally {
    // A transaction that failed has closed it.
    await client.query('close copied').catch(() => undefined);
  }
}

function sizeOf(rows: readonly (readonly unknown[])[]): number {
  const cells = rows.flat();
  return cells.reduce<number>(
    (sum, each) => sum + (typeof each === 'string' || each instanceof Uint8Array ? each.length : 8),
    1,
  );
}
