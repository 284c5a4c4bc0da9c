// Sees every change of a row that the log vouches for, as row-watch.ts does on SQLite: triggers that report to the connection whose statement changed
// the row, if it listens. Other programs do not, so what they change has no entry in the log.
import type { ClientBase } from 'pg';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import type { RowChange, WatchedTable } from './row-watch.ts';

const noticeCode = 'EKROW';
const NAME_CHARACTERS_MAX = 200;

/** What the server says beside the answer to a statement. */
export interface Notice {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/** A connection that runs this hears of changes. */
export const listen = "select set_config('edgekeep.watch', 'on', false)";

const reportSchema = z.tuple([z.string(), z.string(), z.string().nullable(), z.string().nullable()]);

/** Undefined where a notice reports no changed row. */
export function changeIn({ code, message }: Notice): RowChange | undefined {
  if (code !== noticeCode) return undefined;
  const [table, name, before, after] = reportSchema.parse(JSON.parse(message ?? ''));
  return { table, name, before, after };
}

/** The type of a column; empty where there is none. */
type TypeOf = (table: string, column: string) => string;

type Ask = (text: string) => Promise<readonly { table: string; column: string; type: string }[]>;

export async function columnTypes(ask: Ask): Promise<TypeOf> {
  const rows = await ask(
    `select table_name as "table", column_name as "column", udt_name as type from information_schema.columns where table_schema = 'public'`,
  );
  const types = new Map(rows.map(({ table, column, type }) => [`${table}.${column}`, type]));
  return (table, column) => types.get(`${table}.${column}`) ?? '';
}

/** The statements that make the triggers. */
export async function watchStatements(client: ClientBase, tables: readonly WatchedTable[]): Promise<readonly string[]> {
  const typeOf = await columnTypes(async (text) => (await client.query<never>(text)).rows);
  return tables.flatMap((each) => {
    const { table } = each;
    return [
      `create or replace function engine."watch_${table}"() returns trigger language plpgsql as $watch$${watchBody(each, typeOf)}$watch$`,
      `create or replace trigger edgekeep_watch after insert or update or delete on public."${table}" for each row when (current_setting('edgekeep.watch', true) = 'on') execute function engine."watch_${table}"()`,
    ];
  });
}

/** The body of the function of a trigger, as the server keeps it. */
export function watchBody(each: WatchedTable, typeOf: TypeOf): string {
  const { table } = each;
  const [old, now] = [rowText(each, 'old', typeOf), rowText(each, 'new', typeOf)];
  const [whereOld, whereNew] = [rowCondition(each, 'old'), rowCondition(each, 'new')];
  const report = `json_build_array('${table}', case when tg_op = 'DELETE' then ${rowName(each, 'old')} else ${rowName(each, 'new')} end, before, after)`;
  return `
declare before text; after text;
begin
  if tg_op <> 'INSERT' and ${whereOld} then before := ${old}; end if;
  if tg_op <> 'DELETE' and ${whereNew} then after := ${now}; end if;
  if before is distinct from after then
    raise notice using errcode = '${noticeCode}', message = ${report}::text;
  end if;
  return null;
end `;
}

/** The text that SQLite gives for the same row (row-watch.ts), so that a digest does not depend on the engine. */
export function rowText(
  { table, columns }: Pick<WatchedTable, 'table' | 'columns'>,
  row: string,
  typeOf: TypeOf,
): string {
  return columns.map((name) => columnText(`${row}."${name}"`, typeOf(table, name), name)).join(`||','||`);
}

function columnText(column: string, type: string, name: string): string {
  const hex = (bytes: string) => `upper(encode(${bytes}, 'hex'))`;
  const texts: Readonly<Record<string, string>> = {
    text: `'text:'||${hex(`convert_to(${column}, 'UTF8')`)}`,
    int4: `'integer:'||${hex(`convert_to(${column}::text, 'UTF8')`)}`,
    int8: `'integer:'||${hex(`convert_to(${column}::text, 'UTF8')`)}`,
    bytea: `'blob:'||${hex(column)}`,
    // -0.0 as 0.0.
    float8: `'real:'||${hex(`float8send(case when ${column} = 0 then 0 else ${column} end)`)}`,
  };
  const text = texts[type];
  if (text === undefined) throw new HubError('store-unfit', `the column ${name} has the type ${type}`);
  return `coalesce(${text}, 'null:')`;
}

/** The first columns are the primary key. */
export function rowName({ columns }: Pick<WatchedTable, 'columns'>, row: string): string {
  const shown = columns.slice(0, 3).map((name) => `coalesce(${row}."${name}"::text, '')`);
  return `substr(${shown.join(`||' '||`)}, 1, ${NAME_CHARACTERS_MAX})`;
}

export function rowCondition({ where }: Pick<WatchedTable, 'where'>, row: string): string {
  return where === undefined ? 'true' : `${row}."${where.column}" = '${where.value}'`;
}
