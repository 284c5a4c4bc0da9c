// Rows of PostgreSQL as text (row-sql.ts), and what acts on them there. The hub's own triggers stay in the database, so they are compared with what
// this hub makes.
import { CompiledQuery, type Kysely, sql } from 'kysely';
import { columnTypes, rowCondition, rowName, rowText, watchBody } from './postgres-watch.ts';
import type { RowSql } from './row-sql.ts';
import type { WatchedTable } from './row-watch.ts';

export const postgresRows: RowSql = {
  hasTable: async (db, table) => {
    const { rows } = await sql`select 1 from pg_tables where schemaname = 'public' and tablename = ${table}`.execute(
      db,
    );
    return rows.length > 0;
  },
  planted: async (db, watched) => {
    const found: readonly { kind: string; name: string }[] = await raw(db, foreignSql);
    const [first] = found;
    if (first !== undefined) return `${first.kind} ${first.name}`;
    return watched === undefined ? undefined : alteredTrigger(db, watched);
  },
  rows: async (db) => {
    const typeOf = await columnTypes((text) => raw(db, text));
    return (each) => ({
      id: sql`r.ctid::text`,
      name: sql.raw(rowName(each, 'r')),
      text: sql.raw(rowText(each, 'r', typeOf)),
      condition: sql.raw(rowCondition(each, 'r')),
      is: (id) => sql`r.ctid = ${id}::tid`,
    });
  },
  contains: (column, bytes) => sql`position(${bytes}::bytea in ${sql.ref(column)}) > 0`,
  referencesLater: async (db) => {
    await raw(db, 'set constraints all deferred');
  },
  referencesNow: async (db) => {
    await raw(db, 'set constraints all immediate');
  },
};

async function raw<DB, Row>(db: Kysely<DB>, text: string): Promise<readonly Row[]> {
  return (await db.executeQuery<Row>(CompiledQuery.raw(text))).rows;
}

// The functions of the hub's triggers run only for a connection that listens, and are made anew before one does.
/** What acts on rows, and a hub does not make: nothing, or one row of `kind` and `name`. */
export const foreignSql = `
  with ours as (select oid, nspname from pg_namespace where nspname in ('public', 'engine')),
    relations as (select c.*, nspname from pg_class c join ours on ours.oid = c.relnamespace)
  select 'trigger' as kind, tgname || ' of ' || relname as name from pg_trigger t join relations r on r.oid = t.tgrelid
    where not tgisinternal and (tgenabled <> 'O' or pg_get_triggerdef(t.oid) <> format(
      'CREATE TRIGGER edgekeep_watch AFTER INSERT OR DELETE OR UPDATE ON public.%I FOR EACH ROW WHEN ((current_setting(''edgekeep.watch''::text, true) = ''on''::text)) EXECUTE FUNCTION engine.%I()',
      relname, 'watch_' || relname))
  union all select 'rule', rulename || ' of ' || relname from pg_rewrite w join relations r on r.oid = w.ev_class
    where rulename <> '_RETURN'
  union all select case when relkind in ('v', 'm') then 'view' else 'foreign or partitioned table' end, relname from relations
    where relkind not in ('r', 'i', 't', 'S', 'c')
  union all select 'policy of rows of', relname from relations where relrowsecurity or relforcerowsecurity
  union all select 'table that is a part of another one,', relname from pg_inherits i join relations r on r.oid = i.inhrelid
    where relkind <> 'i'
  union all select 'function', nspname || '.' || proname from pg_proc p join ours on ours.oid = p.pronamespace
    where not (nspname = 'engine' and proname like 'watch\\_%' and prorettype = 'trigger'::regtype)
  union all select 'operator', nspname || '.' || oprname from pg_operator o join ours on ours.oid = o.oprnamespace
  limit 1`;

/** A trigger of a watched table that is gone, or whose function is another than this hub makes. */
async function alteredTrigger<DB>(db: Kysely<DB>, watched: readonly WatchedTable[]): Promise<string | undefined> {
  const typeOf = await columnTypes((text) => raw(db, text));
  const found = await raw<DB, { table: string; body: string }>(
    db,
    `select relname as "table", prosrc as body from pg_trigger t join pg_class c on c.oid = t.tgrelid
     join pg_namespace n on n.oid = c.relnamespace join pg_proc p on p.oid = t.tgfoid
     where nspname = 'public' and proname = 'watch_' || relname and not tgisinternal and proconfig is null and not prosecdef`,
  );
  const bodies = new Map(found.map(({ table, body }) => [table, body]));
  const altered = watched.find((each) => bodies.get(each.table) !== watchBody(each, typeOf));
  return altered === undefined ? undefined : `trigger of its own on ${altered.table}, or has lost the hub's`;
}
