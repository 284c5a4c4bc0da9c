// One hub writes to a database, until several nodes can: an advisory lock of the connection that writes. It ends with that connection, so nothing is left
// of a hub that was killed, and a hub that lost its connection writes nothing before it has the lock again.
import { hostname as machineName } from 'node:os';
import type { ClientBase } from 'pg';
import { HubError } from '../../common/error.ts';
import { sqlState } from './failures.ts';
import { type PostgresPlace, postgresText } from './postgres-place.ts';

// Of this product, in this database.
const HOLD_LOCK = 4_913_206_575_102n;
// The server needs a moment to notice that the hub before has ended.
const WAIT_SECONDS = 5;
const HOST_CHARACTERS_MAX = 20;
const LOCK_NOT_AVAILABLE = '55P03';

/** How the server shows a connection that writes to people; `id` tells it from others of this process. The server keeps 63 bytes. */
export function holderName(id: string): string {
  return `edgekeep-hub on ${machineName().slice(0, HOST_CHARACTERS_MAX)}, process ${process.pid} (${id.slice(0, 8)})`;
}

/** Has this connection, of that name, hold the database. Throws `store-in-use`, with who holds it. */
export async function holdDatabase(client: ClientBase, place: PostgresPlace, name: string): Promise<void> {
  if (await takes(client)) return;
  // The connection before this one, whose end the server did not see yet.
  const holder = await holderOf(client);
  if (holder?.name === name) {
    await client.query('select pg_terminate_backend($1)', [holder.pid]);
    if (await takes(client)) return;
  }
  const who = holder === undefined ? 'another hub' : `${holder.name}${holder.address}, since ${holder.since}`;
  throw new HubError(
    'store-in-use',
    `${postgresText(place)} is in use by ${who}: end that one first, or give this hub a database of its own`,
  );
}

async function takes(client: ClientBase): Promise<boolean> {
  try {
    await client.query(
      `begin; set local lock_timeout = '${WAIT_SECONDS}s'; select pg_advisory_lock(${HOLD_LOCK}); commit`,
    );
    return true;
  } catch (error) {
    await client.query('rollback');
    if (sqlState(error) === LOCK_NOT_AVAILABLE) return false;
    throw error;
  }
}

interface Holder {
  readonly pid: number;
  readonly name: string;
  /** Empty on a Unix socket. */
  readonly address: string;
  readonly since: string;
}

async function holderOf(client: ClientBase): Promise<Holder | undefined> {
  const { rows } = await client.query<Holder>(
    `select pid, application_name as name, coalesce(' at ' || host(client_addr), '') as address,
       to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
     from pg_locks join pg_stat_activity using (pid)
     where locktype = 'advisory' and granted and objsubid = 1 and database = (select oid from pg_database where datname = current_database())
       and classid::bigint = ${HOLD_LOCK >> 32n} and objid::bigint = ${HOLD_LOCK & 0xffff_ffffn}`,
  );
  return rows[0];
}
