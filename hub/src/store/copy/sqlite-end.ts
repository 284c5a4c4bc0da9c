// A file of SQLite as one end of a copy.
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import { readRows, rowName, rowText } from '../engine/row-watch.ts';
import type { CopySource, CopyTarget, RowText } from './copy-end.ts';
import type { Cell, TableShape } from '../table-shape.ts';

const cell: z.ZodType<Cell> = z.union([z.null(), z.number(), z.string(), z.instanceof(Uint8Array)]);
const row = z.array(cell);
const textRow = z.object({ name: z.string(), text: z.string() });

/** `store` is in a transaction, so that each read sees the same state. */
export function sqliteSource(store: DatabaseSync): CopySource {
  readRows(store);
  return {
    rows: (shape) => rowsOf(store, shape),
    texts: (shape) => textsOf(store, shape),
  };
}

/** `store` is in a transaction, and checks no references: they are checked at its end. */
export function sqliteTarget(store: DatabaseSync): CopyTarget {
  return {
    clear: async (table) => store.exec(`delete from "${table}"`),
    insert: async ({ table, columns }, rows) => {
      const insert = store.prepare(
        `insert into "${table}" (${listed(columns)}) values (${columns.map(() => '?').join(', ')})`,
      );
      for (const each of rows) insert.run(...each);
    },
  };
}

/** Rows in the order in which they were written. */
async function* rowsOf(store: DatabaseSync, { table, columns }: TableShape): AsyncGenerator<readonly Cell[]> {
  const rows = store.prepare(`select ${listed(columns)} from "${table}" order by rowid`);
  rows.setReturnArrays(true);
  try {
    for (const each of rows.iterate()) yield row.parse(each);
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ERR_OUT_OF_RANGE')) throw cause;
    throw new HubError('move-refused', `${table} holds a number above 2^53 - 1`, { cause });
  }
}

async function* textsOf(store: DatabaseSync, { table, columns, key }: TableShape): AsyncGenerator<RowText> {
  const names = columns.map(({ name }) => name);
  const reals = columns.filter(({ kind }) => kind === 'real').map(({ name }) => name);
  const order = key.map((name) => `r."${name}"`).join(', ');
  const text = `select ${rowName({ columns: key }, 'r')} as name, ${rowText({ columns: names, reals }, 'r')} as text from "${table}" r order by ${order}`;
  for (const each of store.prepare(text).iterate()) yield textRow.parse(each);
}

function listed(columns: TableShape['columns']): string {
  return columns.map(({ name }) => `"${name}"`).join(', ');
}
