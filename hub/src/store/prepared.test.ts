import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { storePlace } from './testing-place.ts';
import { Database } from './database.ts';
import { prepared } from './prepared.ts';
import type { PublisherRow } from './tables/publisher.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-store-'));
});
afterEach(async () => rm(folder, { recursive: true }));

const added = prepared<PublisherRow, never>((db, value) =>
  db.insertInto('publisher').values({
    fingerprint: value('fingerprint'),
    name: value('name'),
    public_key: value('public_key'),
    added_at: value('added_at'),
  }),
);

let built = 0;
// Values in another order than they are given in, one of them twice, and constants between them.
const between = prepared<{ from: number; to: number; name: string }, { fingerprint: string }>((db, value) => {
  built += 1;
  return db
    .selectFrom('publisher')
    .select('fingerprint')
    .where('name', '=', value('name'))
    .where('public_key', '=', 'k')
    .where('added_at', '<=', value('to'))
    .where('added_at', '>=', value('from'))
    .where('added_at', '<=', value('to'))
    .orderBy('added_at')
    .limit(2);
});

const publisher = (fingerprint: string, addedAt: number) => ({
  fingerprint,
  name: 'n',
  public_key: 'k',
  added_at: addedAt,
});
const names = (rows: readonly { fingerprint: string }[]) => rows.map(({ fingerprint }) => fingerprint).join('');

test('each value is where its name is, each time, in the store and in a transaction, and the query is built once for a connection', async () => {
  await using database = await Database.open(await storePlace(folder));
  await database.write(async (trx) => {
    for (const [at, name] of ['a', 'b', 'c', 'd'].entries()) await added(trx, publisher(name, at));
    assert.equal(names(await between(trx, { from: 0, to: 1, name: 'n' })), 'ab');
    assert.equal(names(await between(trx, { name: 'n', to: 3, from: 1 })), 'bc');
  });
  await database.write(async (trx) => assert.equal(names(await between(trx, { from: 3, to: 9, name: 'n' })), 'd'));
  assert.equal(built, 1);
  assert.equal(names(await between(database.read, { from: 2, to: 3, name: 'n' })), 'cd');
  assert.equal(names(await between(database.read, { from: 2, to: 3, name: 'other' })), '');
  assert.equal(built, 2);
});

test('what a prepared statement wrote is undone with its transaction', async () => {
  await using database = await Database.open(await storePlace(folder));
  const write = database.write(async (trx) => {
    await added(trx, publisher('a', 1));
    throw new Error('no');
  });
  await assert.rejects(write, /no/);
  assert.deepEqual(await database.read.selectFrom('publisher').selectAll().execute(), []);
});

test('a text that looks like SQL or like a placeholder is a value', async () => {
  await using database = await Database.open(await storePlace(folder));
  const names = ["'; drop table publisher; --", '?', 'name', ''];
  for (const fingerprint of names) {
    await database.write(async (trx) => added(trx, { ...publisher(fingerprint, 1), name: fingerprint }));
    const rows = await between(database.read, { from: 1, to: 1, name: fingerprint });
    assert.deepEqual(
      rows.map((row) => row.fingerprint),
      [fingerprint],
    );
  }
});

test('a constant limit is part of the text of a prepared query, so that SQLite plans it once', async () => {
  await using database = await Database.open(await storePlace(folder));
  let text = '';
  const first = prepared<{ name: string }, { fingerprint: string }>((db, value) => {
    const query = db.selectFrom('publisher').select('fingerprint').where('name', '=', value('name')).limit(1);
    text = query.compile().sql;
    return query;
  });
  assert.deepEqual(await first(database.read, { name: 'n' }), []);
  assert.match(text, / limit 1$/);
});
