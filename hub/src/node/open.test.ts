import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Database } from '../store/database.ts';
import { openTestStore } from '../store/testing-store.ts';
import { testEngine } from '../store/testing-place.ts';
import { hubKeysOf, openNode } from './open.ts';
import { firstNode, openLocal, sealedFolder } from './testing-node.ts';

const clock = () => Date.now();
const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString());
const onSqlite = { skip: testEngine !== 'sqlite' };

test(
  'a hub on SQLite whose keys are in its store, such as one restored from a backup, opens and changes them there',
  onSqlite,
  async () => {
    await using store = await openTestStore();
    await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
    const place = join(store.folder, 'hub.sqlite');
    const starting = await openNode(one.folder, place, await openLocal(one.folder), clock);
    await using keys = starting.keyStore;
    assert.equal(starting.enter, undefined);
    assert.equal(text(await keys.read('log-key.pem')), 'the log');
    // Before the log records changes of rows a new key waits in the folder.
    await keys.add('platform-2.key', Buffer.from('a key'));
    await starting.shareKeys?.(store.database);
    assert.deepEqual(await keys.names(), ['log-key.pem', 'platform-2.key']);
    assert.deepEqual(await (await openLocal(one.folder)).names(), ['node-key.pem']);
    await using tool = await hubKeysOf(one.folder, place, await openLocal(one.folder), clock);
    assert.equal(text(await tool.read('platform-2.key')), 'a key');
  },
);

test('the keys of a hub that was never on PostgreSQL stay in its data folder', onSqlite, async () => {
  await using store = await openTestStore();
  const folder = await sealedFolder({ 'log-key.pem': 'the log' });
  await using database = await Database.open(join(folder, 'hub.sqlite'));
  const starting = await openNode(folder, join(folder, 'hub.sqlite'), await openLocal(folder), clock);
  await starting.shareKeys?.(database);
  assert.equal(starting.shareKeys, undefined);
  assert.deepEqual(await (await openLocal(folder)).names(), ['log-key.pem']);
  assert.equal((await store.database.read.selectFrom('key_document').selectAll().execute()).length, 0);
});
