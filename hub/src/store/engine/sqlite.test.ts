import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { worldFailureOf } from '../../common/world-failure.ts';
import { openSqlite } from './sqlite.ts';

test('a transaction that SQLite ended itself, on a full disk, fails with that as its cause', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-sqlite-'));
  const db = openSqlite<object>(join(folder, 'hub.sqlite'), { mode: 'write' });
  try {
    await sql`create table note (text text)`.execute(db);
    await sql`pragma max_page_count = 2`.execute(db);
    const full = db.transaction().execute((trx) => sql`insert into note values (${'x'.repeat(100_000)})`.execute(trx));
    await assert.rejects(full, (error) => worldFailureOf(error) === 'no space is left on its disk');
    assert.deepEqual((await sql`select * from note`.execute(db)).rows, []);
  } finally {
    await db.destroy();
    await rm(folder, { recursive: true });
  }
});
