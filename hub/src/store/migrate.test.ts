import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Kysely, sql } from 'kysely';
import { HubError } from '../common/error.ts';
import { assertFloor, migrate, migrateTo, migrationNames } from './migrate.ts';
import { openSqlite } from './engine/sqlite.ts';
import type { Tables } from './schema.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-migrate-'));
});
after(() => rm(folder, { recursive: true }));

const schemaOf = async (store: Kysely<Tables>) =>
  (await sql<{ name: string; sql: string }>`select name, sql from sqlite_schema order by name`.execute(store)).rows;
const namesIn = async (store: Kysely<Tables>) =>
  (await sql<{ name: string }>`select name from kysely_migration order by name`.execute(store)).rows.map(
    ({ name }) => name,
  );

test('a migration that ends in the middle leaves the store as it was, and the next start migrates it', async () => {
  const store = openSqlite<Tables>(join(folder, 'hub.sqlite'), { mode: 'write' });
  try {
    await migrateTo(store, '0012-idevids');
    // The name of a table that a later migration makes: its second statement, after many others, fails.
    await sql`create table vendor_root_state (id integer)`.execute(store);
    const before = await schemaOf(store);
    await assert.rejects(migrate(store), /"vendor_root_state" already exists/);
    assert.deepEqual(await schemaOf(store), before);
    await sql`drop table vendor_root_state`.execute(store);
    await migrate(store);
    assert.deepEqual(await namesIn(store), migrationNames);
  } finally {
    await store.destroy();
  }
});

const newer = (error: unknown) => error instanceof HubError && error.code === 'store-newer';

/** What the next version does to a store: an additive migration, and the floor that it names. */
async function upgradeLater(store: Kysely<Tables>, floor: string): Promise<void> {
  await sql`create table later_thing (id integer)`.execute(store);
  await sql`alter table hub_name add column later_text text`.execute(store);
  const name = '0999-later';
  await sql`insert into kysely_migration (name, timestamp) values (${name}, '2099-01-01T00:00:00.000Z')`.execute(store);
  await store.updateTable('store_floor').set({ migration: floor }).execute();
}

test('a store that the next version has upgraded by additions alone is used by nodes of this version, and not by a single hub', async () => {
  const store = openSqlite<Tables>(join(folder, 'later.sqlite'), { mode: 'write' });
  try {
    await migrate(store);
    const floor = await store.selectFrom('store_floor').selectAll().execute();
    await upgradeLater(store, floor[0]?.migration ?? '');
    await assert.rejects(migrate(store), newer);
    await migrate(store, true);
    await assertFloor(store);
    assert.deepEqual(await store.selectFrom('store_floor').selectAll().execute(), floor);
    assert.deepEqual(await namesIn(store), [...migrationNames, '0999-later'].toSorted());
    await store.insertInto('hub_name').values({ name: 'hub.test', added_at: 1 }).execute();
  } finally {
    await store.destroy();
  }
});

test('a store whose next version serves no node of this one is refused, also by a node that runs', async () => {
  const store = openSqlite<Tables>(join(folder, 'floor.sqlite'), { mode: 'write' });
  try {
    await migrate(store);
    await upgradeLater(store, '0999-later');
    await assert.rejects(migrate(store, true), newer);
    await assert.rejects(assertFloor(store), newer);
  } finally {
    await store.destroy();
  }
});
