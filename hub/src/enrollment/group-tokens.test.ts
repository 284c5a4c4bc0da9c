import assert from 'node:assert/strict';
import { test } from 'node:test';
import { groupTerms } from '@edgekeep/wire/api/enrollment-group';
import { giveToken, tokensMadeMs as nowMs } from '../people/testing-people.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { createGroupToken, findGroupToken, spendGroupToken } from './group-tokens.ts';
import { createEnrollmentGroup } from './groups.ts';
import { findShownToken } from './shown-token.ts';

async function storeWithGroup() {
  const store = await openTestStore();
  const maker = await giveToken(store.database, { person: 'ada', roles: ['operator'] });
  const by = { actor: maker.actor, nowMs };
  const group = { description: '', groups: [], terms: groupTerms.parse({}), ...by };
  await createEnrollmentGroup(store.database, { name: 'line', kind: 'token', ...group });
  await createEnrollmentGroup(store.database, { name: 'listed', kind: 'manifest', ...group });
  return { ...store, maker };
}
type Store = Awaited<ReturnType<typeof storeWithGroup>>;

async function make(
  { database, maker }: Store,
  change: { maxUses?: number; olderSeconds?: number; name?: string } = {},
) {
  const order = {
    name: 'line',
    maxUses: 2,
    lifeSeconds: 60,
    maker,
    actor: maker.actor,
    nowMs,
    olderSeconds: undefined,
  };
  return (await createGroupToken(database, { ...order, ...change })).token;
}
const find = async ({ database }: TestStore, text: string, atMs = nowMs) =>
  (await findGroupToken(database.read, text, atMs))?.sha256;
const spend = ({ database }: TestStore, sha256: string, atMs = nowMs) =>
  database.write((trx) => spendGroupToken(trx, sha256, atMs));

test('a token of a group lets two devices in where it is for two, and a third one not', async () => {
  await using store = await storeWithGroup();
  const text = await make(store);
  const sha256 = (await find(store, text)) ?? '';
  await spend(store, sha256);
  await spend(store, sha256);
  assert.equal(await find(store, text), undefined);
  assert.equal(await refusalOf(spend(store, sha256)), 'enrollment-refused');
});

test('of many devices that show one token at a time, as many get in as it is for', async () => {
  await using store = await storeWithGroup();
  const sha256 = (await find(store, await make(store, { maxUses: 3 }))) ?? '';
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => spend(store, sha256)));
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3);
});

test('a token of a group counts until its end: when it is shown, and when it is used', async () => {
  await using store = await storeWithGroup();
  const text = await make(store);
  const sha256 = (await find(store, text, nowMs + 59_999)) ?? '';
  assert.equal(await find(store, text, nowMs + 60_000), undefined);
  assert.equal(await refusalOf(spend(store, sha256, nowMs + 60_000)), 'enrollment-refused');
});

test('a new token ends the older ones when the order says so, and else leaves them', async () => {
  await using store = await storeWithGroup();
  const first = await make(store);
  await make(store);
  assert.notEqual(await find(store, first, nowMs + 30_000), undefined);
  await make(store, { olderSeconds: 10 });
  assert.notEqual(await find(store, first, nowMs + 9_999), undefined);
  assert.equal(await find(store, first, nowMs + 10_000), undefined);
});

test('a group that asks for no token has none', async () => {
  await using store = await storeWithGroup();
  assert.equal(await refusalOf(make(store, { name: 'listed' })), 'conflict');
});

test('what a device shows is a token of the group that made it, or nothing', async () => {
  await using store = await storeWithGroup();
  const device = { deviceId: 'press-1', tier: 'tpm', nowMs };
  const shown = await findShownToken(store.database.read, await make(store), device);
  assert.deepEqual([shown.kind, shown.kind === 'group' && shown.group], ['group', 'line']);
  for (const wrong of ['eg_', 'eg_AAAA', 'ee_AAAA', 'AAAA', undefined])
    assert.equal(await refusalOf(findShownToken(store.database.read, wrong, device)), 'enrollment-refused');
});
