// Copies of a stopped hub with its store, on either engine: what an attacker, or an operator with an old disk, puts in its place.
import { cp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresPlace } from '@edgekeep/hub/store/engine/postgres-place';
import type { StorePlace } from '@edgekeep/hub/store/engine/place';
import { databaseOf, dropDatabase, withServer } from '@edgekeep/hub/store/testing-place';

interface Stopped {
  readonly hubFolder: string;
  readonly place: StorePlace;
}

/** Copies folder and store to the folder `to`, which must not exist. */
export async function copyHub({ hubFolder, place }: Stopped, to: string): Promise<void> {
  await cp(hubFolder, to, { recursive: true });
  if (typeof place === 'string') return;
  await isLeft(place);
  await databaseOf(to, place.database);
}

/** Puts a copy in the place of folder and store. The copy is gone then. */
export async function exchangeHub(hub: Stopped, copy: string): Promise<void> {
  await exchangeStore(hub, copy);
  await rm(hub.hubFolder, { recursive: true });
  await rename(copy, hub.hubFolder);
}

/** Puts only the store of a copy in the place of the store. */
export async function exchangeStore({ hubFolder, place }: Stopped, copy: string): Promise<void> {
  if (typeof place === 'string') {
    for (const end of ['', '-wal', '-shm']) await rm(`${place}${end}`, { force: true });
    await cp(join(copy, 'hub.sqlite'), join(hubFolder, 'hub.sqlite'));
    return;
  }
  const { database } = await databaseOf(copy);
  await dropDatabase(place);
  await withServer((client) => client.query(`alter database ${database} rename to ${place.database}`));
}

/** Resolves once the connections of the stopped hub are gone: the server hears of each end a little later. */
async function isLeft({ database }: PostgresPlace): Promise<void> {
  const sql = 'select count(*)::int as count from pg_stat_activity where datname = $1';
  const count = async () =>
    withServer(async (client) => (await client.query<{ count: number }>(sql, [database])).rows[0]?.count);
  while ((await count()) !== 0);
}

/** Removes a copy that nothing needs any more. */
export async function removeCopy({ place }: Pick<Stopped, 'place'>, copy: string): Promise<void> {
  await rm(copy, { recursive: true, force: true });
  if (typeof place !== 'string') await dropDatabase(await databaseOf(copy));
}
