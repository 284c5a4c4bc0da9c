// Sees every change of a row that the log vouches for, whichever function makes it: triggers of the writing connection alone. They are not in the
// file, so a program that writes into the file fires none of them.
import type { DatabaseSync } from 'node:sqlite';

export interface WatchedTable {
  readonly table: string;
  /** The columns that count; the primary key is among them. */
  readonly columns: readonly string[];
  /** Those of them that hold floating-point numbers. */
  readonly reals?: readonly string[];
  /** Only rows with this value in this column. */
  readonly where?: { readonly column: string; readonly value: string };
}

/** A changed row as text; null where there was none before, or is none after. */
export interface RowChange {
  readonly table: string;
  /** The primary key for people. */
  readonly name: string;
  readonly before: string | null;
  readonly after: string | null;
}

const functionName = 'row_changed';
const realBits = 'real_bits';
const NAME_CHARACTERS_MAX = 200;

/**
 * An expression for the listed columns of a row: type and bytes of each, so that different rows have different texts. A floating-point number is
 * its IEEE 754 bits, by a function of ours (`readRows`): as text it would depend on how this version of SQLite prints numbers.
 */
export function rowText({ columns, reals = [] }: Pick<WatchedTable, 'columns' | 'reals'>, row: string): string {
  const bytes = (column: string, isReal: boolean) =>
    isReal
      ? `CASE typeof(${column}) WHEN 'real' THEN ${realBits}(${column}) ELSE hex(${column}) END`
      : `hex(${column})`;
  return columns
    .map((name) => ({ name, column: `${row}."${name}"` }))
    .map(({ name, column }) => `typeof(${column})||':'||${bytes(column, reals.includes(name))}`)
    .join(`||','||`);
}

/** Lets statements of this connection use `rowText`. */
export function readRows(database: DatabaseSync): void {
  database.function(realBits, { deterministic: true }, (value) => {
    const bits = new DataView(new ArrayBuffer(8));
    // SQLite keeps -0.0 as 0: a row reads as 0.0 later.
    bits.setFloat64(0, value === 0 ? 0 : Number(value));
    return bits.getBigUint64(0).toString(16).padStart(16, '0').toUpperCase();
  });
}

/** An expression for the row's name: the first columns are the primary key. */
export function rowName({ columns }: Pick<WatchedTable, 'columns'>, row: string): string {
  const shown = columns.slice(0, 3).map((name) => `coalesce(${row}."${name}",'')`);
  return `substr(${shown.join(`||' '||`)},1,${NAME_CHARACTERS_MAX})`;
}

export function rowCondition({ where }: Pick<WatchedTable, 'where'>, row: string): string {
  return where === undefined ? '1' : `${row}."${where.column}"='${where.value}'`;
}

/** Lets triggers of this connection call `changed`. */
export function hearRowChanges(database: DatabaseSync, changed: (change: RowChange) => void): void {
  database.function(functionName, (table, name, before, after) => {
    changed({ table: String(table), name: String(name), before: textOrNull(before), after: textOrNull(after) });
    return null;
  });
}

function textOrNull(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** The statements that make the triggers. A row that replaces another must fire them too. */
export function watchStatements(tables: readonly WatchedTable[]): readonly string[] {
  return ['PRAGMA recursive_triggers=ON', ...tables.flatMap(triggersOf)];
}

function triggersOf(each: WatchedTable): readonly string[] {
  const { table, columns, where } = each;
  const [before, after] = [rowText(each, 'OLD'), rowText(each, 'NEW')];
  const call = (row: string, from: string, to: string) =>
    `SELECT ${functionName}('${table}',${rowName(each, row)},${from},${to});`;
  const trigger = (name: string, when: string, condition: string, body: string) =>
    `CREATE TEMP TRIGGER "watch_${table}_${name}" AFTER ${when} ON main."${table}" WHEN ${condition} BEGIN ${body} END`;
  const names = [...new Set([...columns, ...(where === undefined ? [] : [where.column])])];
  const seen = (row: string, text: string) => `CASE WHEN ${rowCondition(each, row)} THEN ${text} END`;
  const update = names.map((name) => `"${name}"`).join(',');
  return [
    trigger('insert', 'INSERT', rowCondition(each, 'NEW'), call('NEW', 'NULL', after)),
    trigger('delete', 'DELETE', rowCondition(each, 'OLD'), call('OLD', before, 'NULL')),
    trigger(
      'update',
      `UPDATE OF ${update}`,
      `${seen('OLD', before)} IS NOT ${seen('NEW', after)}`,
      call('NEW', seen('OLD', before), seen('NEW', after)),
    ),
  ];
}
