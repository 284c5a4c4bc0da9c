// Where a PostgreSQL store is. It is data, so that a thread can open the same one; it has the password, so it is never printed.
import { endpointText } from '@edgekeep/core/canonical/endpoint';
import { z } from 'zod';

/** A server that restarts is back within seconds. */
export const commitLookupMs = 30_000;

export const postgresPlaceSchema = z.strictObject({
  kind: z.literal('postgres'),
  /** A name or address; or the folder of a Unix socket, which begins with a slash. */
  host: z.string(),
  port: z.int(),
  database: z.string(),
  user: z.string(),
  password: z.string().optional(),
  /** The file that has it, read for each connection: it may change while the hub runs. */
  passwordFile: z.string().optional(),
  /** PEM of the CAs that certify the server; without it, those that Node trusts. */
  authorities: z.string().optional(),
  /** How long a commit whose answer was lost is looked up. */
  lookupMs: z.int().positive().default(commitLookupMs),
});

export type PostgresPlace = z.infer<typeof postgresPlaceSchema>;

/** For people: without the password. */
export function postgresText({ host, port, database, user }: PostgresPlace): string {
  const where = host.startsWith('/') ? `${host}/.s.PGSQL.${port}` : endpointText({ host, port });
  return `the database ${database} of PostgreSQL at ${where} (as ${user})`;
}
