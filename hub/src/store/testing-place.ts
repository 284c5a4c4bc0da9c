// For tests: places of stores on the engine that this run is for. `EDGEKEEP_TEST_STORE` names it (`sqlite`, the default, or `postgres`) and
// `EDGEKEEP_TEST_CLUSTER` the socket folder of a server that the runner started; it is read here alone.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Client } from 'pg';
import { commitLookupMs, type PostgresPlace } from './engine/postgres-place.ts';
import type { StorePlace } from './engine/place.ts';
import { clusterUser, startTestCluster } from './testing-cluster.ts';

export const testEngine = process.env['EDGEKEEP_TEST_STORE'] === 'postgres' ? 'postgres' : 'sqlite';

let cluster: Promise<string> | undefined;

/** The store of a folder: a file in it, or a database of the same name. */
export async function storePlace(folder: string, name = 'hub.sqlite'): Promise<StorePlace> {
  return testEngine === 'sqlite' ? join(folder, name) : databaseOf(join(folder, name));
}

/** A database for this path, which is made where there is none; as a copy of another one, if that is named. */
export async function databaseOf(path: string, template = 'template0'): Promise<PostgresPlace> {
  const database = `t${createHash('sha256').update(path).digest('hex').slice(0, 20)}`;
  await withServer(async (client) => {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [database]);
    if (rowCount === 0)
      await client.query(
        `create database ${database} template ${template} encoding 'UTF8' lc_collate 'C' lc_ctype 'C'`,
      );
  });
  return {
    kind: 'postgres',
    host: await socketFolder(),
    port: 5432,
    database,
    user: clusterUser,
    lookupMs: commitLookupMs,
  };
}

/** Removes a database with everything that is connected to it. */
export async function dropDatabase({ database }: PostgresPlace): Promise<void> {
  await withServer((client) => client.query(`drop database if exists ${database} with (force)`));
}

export async function withServer<T>(work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ host: await socketFolder(), user: clusterUser, database: 'postgres', password: '' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

async function socketFolder(): Promise<string> {
  const given = process.env['EDGEKEEP_TEST_CLUSTER'];
  if (given !== undefined) return given;
  cluster ??= startTestCluster().then(({ folder }) => folder);
  return cluster;
}
