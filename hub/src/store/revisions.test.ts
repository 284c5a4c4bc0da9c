import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Revisions } from './revisions.ts';
import { openTestStore } from './testing-store.ts';

const site = new Set(['site']);

test('a change of another node is seen once, and its own changes are not', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Revisions(true), new Revisions(true)];
  const change = async (by: Revisions) => by.settle(await database.writeAsHub((trx) => by.raise(trx, site)));
  const seen = async (by: Revisions) => {
    const { changed, settle } = await by.look(database.read);
    settle();
    return [...changed];
  };
  await change(a);
  assert.deepEqual([await seen(a), await seen(b), await seen(b)], [[], ['site'], []]);
  const before = a.of(['site', 'device']);
  await change(b);
  assert.equal(a.of(['site', 'device']), before);
  assert.deepEqual(await seen(a), ['site']);
  assert.equal(a.of(['site', 'device']), before + 1);
});

test('a change of another node between a look and an own change is not lost', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Revisions(true), new Revisions(true)];
  const change = async (by: Revisions) => by.settle(await database.writeAsHub((trx) => by.raise(trx, site)));
  await change(a);
  await change(b);
  await change(a);
  const { changed, settle } = await a.look(database.read);
  settle();
  assert.deepEqual([...changed], ['site']);
  assert.deepEqual([...(await a.look(database.read)).changed], []);
});

test('a change that could not be read again counts as unread', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Revisions(true), new Revisions(true)];
  a.settle(await database.writeAsHub((trx) => a.raise(trx, site)));
  await b.look(database.read);
  assert.deepEqual([...(await b.look(database.read)).changed], ['site']);
});

test('numbers that somebody raised and put back hide no change', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Revisions(true), new Revisions(true)];
  const set = (revision: number) =>
    database.writeAsHub((trx) => trx.updateTable('table_revision').set({ revision }).execute());
  const seen = async (by: Revisions) => {
    const { changed, settle } = await by.look(database.read);
    settle();
    return [...changed];
  };
  a.settle(await database.writeAsHub((trx) => a.raise(trx, site)));
  await set(1_000_000);
  assert.deepEqual([await seen(a), await seen(b)], [['site'], ['site']]);
  await set(1);
  a.settle(await database.writeAsHub((trx) => a.raise(trx, site)));
  assert.deepEqual([await seen(a), await seen(b), await seen(b)], [['site'], ['site'], []]);
});

test('a store of one node writes no revisions', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const alone = new Revisions(false);
  alone.settle(await database.writeAsHub((trx) => alone.raise(trx, site)));
  assert.equal(alone.of(['site']), 1);
  assert.deepEqual(await database.read.selectFrom('table_revision').selectAll().execute(), []);
});
