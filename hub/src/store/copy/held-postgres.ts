// A database of PostgreSQL that a move or a backup copies: one connection sees one state, and for a move another one holds the lock that every group of
// writes needs.
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import { Client } from 'pg';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import { clientConfig, type ConnectionMode } from '../engine/postgres-client.ts';
import { type PostgresPlace, postgresText } from '../engine/postgres-place.ts';
import { assertFit } from '../engine/postgres-server.ts';
import type { CopySource, HeldStore } from './copy-end.ts';
import { postgresSource, postgresTarget } from './postgres-end.ts';
import { markRow, markShape, type StoreMark } from '../store-mark.ts';

export interface PostgresSnapshot extends AsyncDisposable {
  readonly source: CopySource;
}

/** The state of now, also while a hub writes. */
export async function snapshotPostgres(place: PostgresPlace): Promise<PostgresSnapshot> {
  await using opened = new AsyncDisposableStack();
  const client = await connected(place, 'read', opened);
  await client.query('begin isolation level repeatable read read only');
  // The first statement fixes what this transaction sees.
  await client.query('select 1 from kysely_migration limit 1');
  const open = opened.move();
  return { source: postgresSource(client), [Symbol.asyncDispose]: () => open.disposeAsync() };
}

export async function holdPostgres(place: PostgresPlace): Promise<HeldStore> {
  await using opened = new AsyncDisposableStack();
  const client = await connected(place, 'write', opened);
  await assertFit(client, place);
  await assertAlone(client, place);
  await client.query('begin');
  await client.query('select id from engine.head where id = 1 for update');
  // After the lock: it sees every group that was committed.
  const { source } = opened.use(await snapshotPostgres(place));
  const open = opened.move();
  return {
    source,
    markMoved: async (mark, between) => {
      await writeMark(client, mark);
      await between();
      const { command } = await client.query('commit');
      if (command !== 'COMMIT')
        throw new HubError('move-refused', 'the former store took no mark: start the hub, or repeat the move');
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

async function connected(place: PostgresPlace, mode: ConnectionMode, opened: AsyncDisposableStack): Promise<Client> {
  const client = new Client(clientConfig(place, mode));
  // The query that waits fails as well.
  client.on('error', () => undefined);
  await client.connect();
  opened.defer(() => client.end());
  // A copy takes its time between two statements.
  await client.query('set idle_in_transaction_session_timeout = 0; set statement_timeout = 0');
  return client;
}

const sessionRow = z.object({ pid: z.int(), holder: z.string() });

// Of sessions of other users the server hides the program: they count as well.
const others = `select pid, coalesce(application_name || ' ', '') || coalesce('at ' || host(client_addr), 'on its machine') as holder from pg_stat_activity
  where datname = current_database() and pid <> pg_backend_pid() and usesysid is not null
  and (application_name like 'edgekeep-hub%' or application_name is null or usename <> current_user) limit 1`;

// The server needs a moment to see that a hub has ended.
const ENDING_MS_MAX = 5_000;
const ENDING_PAUSE_MS = 100;

async function assertAlone(client: Client, place: PostgresPlace): Promise<void> {
  let found: unknown;
  for (const untilMs = performance.now() + ENDING_MS_MAX; ;) {
    [found] = (await client.query<object>(others)).rows;
    if (found === undefined) return;
    if (performance.now() > untilMs) break;
    await setTimeout(ENDING_PAUSE_MS);
  }
  const { pid, holder } = sessionRow.parse(found);
  throw new HubError(
    'move-refused',
    `${postgresText(place)} is in use by ${holder} (process ${pid} of the server): stop every hub and tool on it first`,
  );
}

/** A hub that was cut off and comes back must not go on here: every group of writes has entries of the log. */
const noEntries = `create or replace function engine.moved() returns trigger language plpgsql as $moved$
  begin raise exception 'the hub of this store was moved' using errcode = 'EKMOV'; end $moved$;
  create or replace trigger edgekeep_moved before insert or update or delete or truncate on public.audit_entry
  for each statement execute function engine.moved()`;

async function writeMark(client: Client, mark: StoreMark): Promise<void> {
  const target = postgresTarget((sql, parameters) => client.query(sql, [...parameters]));
  await target.clear(markShape.table);
  await target.insert(markShape, markRow(mark));
  await client.query(noEntries);
}
