import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Kysely, sql } from 'kysely';
import { migrate, migrateTo, migrationNames } from './migrate.ts';
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
