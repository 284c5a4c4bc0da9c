import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { storePlace } from './testing-place.ts';
import { Database } from './database.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-store-'));
});
afterEach(async () => rm(folder, { recursive: true }));

const publisher = (fingerprint: string) => ({ fingerprint, name: 'n', public_key: 'k', added_at: 1 });

test('what a write resolved with is there after a reopen', async () => {
  const path = await storePlace(folder);
  const first = await Database.open(path);
  await first.write(async (trx) => trx.insertInto('publisher').values(publisher('a')).execute());
  await first[Symbol.asyncDispose]();
  await using second = await Database.open(path);
  assert.equal((await second.read.selectFrom('publisher').selectAll().execute()).length, 1);
});

test('a write that throws undoes its own statements and not those of its group', async () => {
  await using database = await Database.open(await storePlace(folder));
  const outcomes = await Promise.allSettled([
    database.write(async (trx) => trx.insertInto('publisher').values(publisher('a')).execute()),
    database.write(async (trx) => {
      await trx.insertInto('publisher').values(publisher('b')).execute();
      throw new Error('no');
    }),
    database.write(async (trx) => trx.insertInto('publisher').values(publisher('a')).execute()),
    database.write(async (trx) => trx.insertInto('publisher').values(publisher('c')).execute()),
  ]);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.status),
    ['fulfilled', 'rejected', 'rejected', 'fulfilled'],
  );
  const rows = await database.read.selectFrom('publisher').select('fingerprint').orderBy('fingerprint').execute();
  assert.deepEqual(
    rows.map((row) => row.fingerprint),
    ['a', 'c'],
  );
});

test('a closed store refuses writes', async () => {
  const database = await Database.open(await storePlace(folder));
  await database[Symbol.asyncDispose]();
  await assert.rejects(
    database.write(async () => 1),
    { code: 'hub-stopping' },
  );
});
