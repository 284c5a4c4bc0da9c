// Rows of SQLite as text (row-sql.ts).
import { CompiledQuery, type Kysely, sql } from 'kysely';
import type { RowSql } from './row-sql.ts';
import { rowCondition, rowName, rowText } from './row-watch.ts';

export const sqliteRows: RowSql = {
  hasTable: async (db, table) => {
    const { rows } = await sql`select 1 from sqlite_schema where type = 'table' and name = ${table}`.execute(db);
    return rows.length > 0;
  },
  // The hub's own triggers are temporary.
  planted: async (db) => {
    const found = sql<{
      type: unknown;
      name: unknown;
    }>`select type, name from sqlite_schema where type in ('trigger', 'view')`;
    const [first] = (await found.execute(db)).rows;
    return first === undefined ? undefined : `${String(first.type)} ${String(first.name)}`;
  },
  rows: async () => (each) => ({
    id: sql`cast(r.rowid as text)`,
    name: sql.raw(rowName(each, 'r')),
    text: sql.raw(rowText(each, 'r')),
    condition: sql.raw(rowCondition(each, 'r')),
    is: (id) => sql`r.rowid = ${Number(id)}`,
  }),
  contains: (column, bytes) => sql`instr(${sql.ref(column)}, ${bytes}) > 0`,
  referencesLater: (db) => run(db, 'PRAGMA defer_foreign_keys=ON'),
  // The commit does so.
  referencesNow: async () => undefined,
};

async function run<DB>(db: Kysely<DB>, text: string): Promise<void> {
  await db.executeQuery(CompiledQuery.raw(text));
}
