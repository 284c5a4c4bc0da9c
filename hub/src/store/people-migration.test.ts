import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { findCaller } from '../people/api-token.ts';
import { migration as mainJob } from './migrations/0001-main-job.ts';
import { migration as people } from './migrations/0010-people-and-workloads.ts';
import { openSqlite } from './engine/sqlite.ts';
import type { Tables } from './schema.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-people-'));
});
after(() => rm(folder, { recursive: true }));

/** A store with tokens from before there were people, migrated. */
async function migrated(name: string, tokens: readonly (readonly [string, string])[]) {
  const path = join(folder, name);
  const db = openSqlite<Tables>(path, { mode: 'write' });
  await mainJob.up(db);
  {
    using store = new DatabaseSync(path);
    const insert = store.prepare(
      'insert into api_token (sha256, name, scopes, created_at, expires_at, revoked_at) values (?, ?, ?, 1, 9000, null)',
    );
    for (const [sha256, scopes] of tokens) insert.run(sha256, `of-${sha256}`, scopes);
  }
  await people.up(db);
  return db;
}

test('tokens from before there were people: who could do everything is the person admin, the others are services', async () => {
  const db = await migrated('some.sqlite', [
    ['a', 'admin'],
    ['b', 'devices:read admin'],
    ['c', 'devices:read'],
  ]);
  const callers = await Promise.all(['a', 'b', 'c'].map(async (sha256) => findCaller(db, sha256, 5)));
  const actors = callers.map((caller) => (typeof caller === 'string' ? caller : caller.actor));
  await db.destroy();
  assert.deepEqual(actors, ['person:admin/of-a', 'person:admin/of-b', 'service:of-c']);
});

test('a store without such tokens gets no person', async () => {
  const db = await migrated('none.sqlite', [['c', 'devices:read']]);
  const found = await db.selectFrom('person').selectAll().execute();
  await db.destroy();
  assert.deepEqual(found, []);
});
