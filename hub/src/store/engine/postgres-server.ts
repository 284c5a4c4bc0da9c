// What the hub asks of a PostgreSQL server and its database: that what was acknowledged survives a power cut, and that texts compare by their bytes.
import { Client, type ClientBase } from 'pg';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import { clientConfig } from './postgres-client.ts';
import { type PostgresPlace, postgresText } from './postgres-place.ts';

const VERSION_MIN = 150_000;

const factsSchema = z.object({
  version: z.number(),
  standby: z.number(),
  fsync: z.string(),
  full_page_writes: z.string(),
  synchronous_commit: z.string(),
  encoding: z.string(),
  collation: z.string(),
  provider: z.string(),
});
type Facts = z.infer<typeof factsSchema>;

const question = `select current_setting('server_version_num')::int as version, pg_is_in_recovery() as standby,
  current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
  current_setting('synchronous_commit') as synchronous_commit, pg_encoding_to_char(encoding) as encoding,
  datcollate as collation, datlocprovider as provider
  from pg_database where datname = current_database()`;

/** Throws `store-unfit`, with what to do. */
export async function assertFit(client: ClientBase, place: PostgresPlace): Promise<void> {
  const versions = await client.query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  );
  const version = versions.rows[0]?.version ?? 0;
  const problem =
    version < VERSION_MIN
      ? `it is version ${Math.floor(version / 10_000)}: 15 or a later one is needed`
      : problemOf(factsSchema.parse((await client.query<object>(question)).rows[0]));
  if (problem !== undefined)
    throw new HubError('store-unfit', `${postgresText(place)} cannot be the store: ${problem}`);
}

/** Connects, and names the server. Throws `store-unfit`. */
export async function serverText(place: PostgresPlace): Promise<string> {
  const client = new Client(clientConfig(place, 'read'));
  client.on('error', () => undefined);
  await client.connect();
  try {
    await assertFit(client, place);
    const { rows } = await client.query<{ version: string }>("select current_setting('server_version') as version");
    return `PostgreSQL ${rows[0]?.version ?? ''}`;
  } finally {
    await client.end();
  }
}

function problemOf(facts: Facts): string | undefined {
  if (facts.standby === 1) return 'the server is a standby, which takes no writes: name the primary';
  for (const name of ['fsync', 'full_page_writes'] as const) {
    if (facts[name] !== 'on')
      return `${name} is off, so a power cut can lose what was acknowledged: set ${name} = on in postgresql.conf and restart the server`;
  }
  if (facts.synchronous_commit === 'off')
    return 'synchronous_commit is off, so a power cut can lose what was acknowledged: set it to on for the server, this database and this user';
  if (facts.encoding !== 'UTF8') return `its encoding is ${facts.encoding}: ${create}`;
  if (!comparesBytes(facts)) return `its texts are ordered by ${facts.collation}, not by their bytes: ${create}`;
  return undefined;
}

const create = `make it with create database NAME template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'`;

// Since version 17 there is a built-in provider, whose locales all compare code points.
function comparesBytes({ provider, collation }: Facts): boolean {
  return provider === 'b' || (provider === 'c' && (collation === 'C' || collation === 'POSIX'));
}
