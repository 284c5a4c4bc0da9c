// A database for a new hub: it must be empty. What a run of `hub init` makes carries its id, so that the next run can remove it after a kill, and
// nothing else.
import { Client, type ClientBase } from 'pg';
import { HubError } from '../../common/error.ts';
import { clientConfig } from './postgres-client.ts';
import { inWords } from './postgres-failures.ts';
import { type PostgresPlace, postgresText } from './postgres-place.ts';
import { assertFit } from './postgres-server.ts';

const mark = (id: string) => `made by edgekeep hub init ${id}`;

/** The statement that marks what the run with this id makes, for the transaction that makes it. */
export function markStatement(id: string): string {
  return `comment on schema engine is '${mark(id)}'`;
}

/** Throws `conflict` for a database that holds something. */
export async function assertEmptyDatabase(place: PostgresPlace): Promise<void> {
  await withDatabase(place, async (client) => {
    await assertFit(client, place);
    const { rows } = await client.query<{ name: string }>(
      `select relname as name from pg_class where relnamespace in (select oid from pg_namespace where nspname in ('public', 'engine')) order by 1`,
    );
    const [first] = rows;
    if (first === undefined) return;
    throw new HubError(
      'conflict',
      `${postgresText(place)} holds ${rows.length} tables and indexes already, such as ${first.name}: give the hub an empty database of its own`,
    );
  });
}

/** Removes what the run with this id made. */
export async function discardDatabase(place: PostgresPlace, id: string): Promise<void> {
  await withDatabase(place, async (client) => {
    const { rows } = await client.query<{ comment: string | null }>(
      "select obj_description(oid, 'pg_namespace') as comment from pg_namespace where nspname = 'engine'",
    );
    if (rows[0]?.comment !== mark(id)) return;
    await client.query(`begin; do $$ declare each record; begin
      for each in select tablename from pg_tables where schemaname = 'public' and tableowner = current_user
      loop execute format('drop table if exists public.%I cascade', each.tablename); end loop; end $$;
      drop schema engine cascade; drop domain if exists public.blob; commit`);
  });
}

async function withDatabase<T>(place: PostgresPlace, work: (client: ClientBase) => Promise<T>): Promise<T> {
  const client = new Client(clientConfig(place, 'write'));
  // The query that runs fails as well.
  client.on('error', () => undefined);
  try {
    return await inWords(async () => {
      await client.connect();
      return work(client);
    }, place);
  } finally {
    // It may have ended already, and the error says why.
    await client.end().catch(() => undefined);
  }
}
