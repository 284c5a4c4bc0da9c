// The tables of a store as a copy needs them: names and kinds of columns, the key, and an order in which rows that are referred to come first. One of
// two engines is always SQLite, which is asked.
import type { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { HubError } from '../common/error.ts';

/** A value of a row, alike on every engine. */
export type CellKind = 'text' | 'integer' | 'real' | 'bytes';
export type Cell = null | number | string | Uint8Array;

export interface TableShape {
  readonly table: string;
  readonly columns: readonly { readonly name: string; readonly kind: CellKind }[];
  /** Of the primary key, in its order. */
  readonly key: readonly string[];
}

const kinds: ReadonlyMap<string, CellKind> = new Map([
  ['text', 'text'],
  ['integer', 'integer'],
  ['bigint', 'integer'],
  ['double precision', 'real'],
  ['blob', 'bytes'],
]);

const namedRow = z.object({ name: z.string() });
const columnRow = z.object({ name: z.string(), type: z.string(), pk: z.int() });
const referenceRow = z.object({ table: z.string() });

/** Every table but those of the migrations, because both stores are of one version, and the mark of a move, which is of one store alone. */
export function shapesOf(store: DatabaseSync): readonly TableShape[] {
  const names = store
    .prepare(
      "select name from sqlite_schema where type = 'table' and name not like 'kysely%' and name <> 'store_move' order by name",
    )
    .all()
    .map((row) => namedRow.parse(row).name);
  const references = new Map(names.map((name) => [name, referencesOf(store, name)]));
  return referredFirst(names, references).map((name) => shapeOf(store, name));
}

function shapeOf(store: DatabaseSync, table: string): TableShape {
  const rows = store
    .prepare('select name, lower(type) as type, pk from pragma_table_info(?)')
    .all(table)
    .map((row) => columnRow.parse(row));
  const columns = rows.map(({ name, type }) => {
    const kind = kinds.get(type);
    if (kind === undefined) throw new HubError('move-refused', `${table}.${name} has the type ${type}`);
    return { name, kind };
  });
  const key = rows
    .filter(({ pk }) => pk > 0)
    .toSorted((a, b) => a.pk - b.pk)
    .map(({ name }) => name);
  return { table, columns, key: key.length > 0 ? key : columns.map(({ name }) => name) };
}

function referencesOf(store: DatabaseSync, table: string): readonly string[] {
  const rows = store.prepare('select "table" from pragma_foreign_key_list(?)').all(table);
  return rows.map((row) => referenceRow.parse(row).table).filter((each) => each !== table);
}

function referredFirst(
  names: readonly string[],
  references: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  const placed: string[] = [];
  while (placed.length < names.length) {
    const next = names.filter(
      (name) => !placed.includes(name) && (references.get(name) ?? []).every((each) => placed.includes(each)),
    );
    if (next.length === 0) throw new TypeError('tables refer to each other in a circle');
    placed.push(...next);
  }
  return placed;
}
