import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Hex } from '@edgekeep/core/digest';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { type Caller, findCaller } from './api-token.ts';
import { claimHub, handOverToken } from './hand-over.ts';
import { giveToken, tokensMadeMs as nowMs } from './testing-people.ts';
import { addToken, endTokens, tokenId } from './token-store.ts';

const hour = 3_600_000;

function claim({ database }: TestStore, caller: Caller, name = 'ada') {
  const token = { name, sha256: sha256Hex(`claimed by ${name}`), lifeSeconds: 7_200 };
  return claimHub(database, { caller, actor: caller.actor, nowMs, ...token });
}

/** A token that `maker` made. */
async function madeBy({ database }: TestStore, maker: Caller, name: string, change: { person?: string; end?: number }) {
  const sha256 = sha256Hex(`made ${name}`);
  const { person, end = nowMs + 24 * hour } = change;
  const by = { derivedFrom: maker.tokenSha256, actor: 'test', nowMs };
  await database.write((trx) =>
    addToken(trx, { sha256, name, person, roles: [], scopes: [], expiresAtMs: end, ...by }),
  );
  return sha256;
}
const row = ({ database }: TestStore, sha256: string) =>
  database.read.selectFrom('api_token').selectAll().where('sha256', '=', sha256).executeTakeFirstOrThrow();

test('a person claims the hub from its first operator file, which then counts no more', async () => {
  await using store = await openTestStore();
  const bootstrap = await giveToken(store.database, { person: 'operator', roles: ['administrator'], bootstrap: true });
  const { expiresAt } = await claim(store, bootstrap);
  assert.equal(expiresAt, nowMs + 2 * hour);
  const ada = await findCaller(store.database.read, sha256Hex('claimed by ada'), nowMs);
  assert.ok(typeof ada !== 'string');
  assert.deepEqual([ada.person, ada.scopes], ['ada', ['admin']]);
  assert.equal(typeof (await findCaller(store.database.read, bootstrap.tokenSha256, nowMs)), 'string');
});

test('no other token claims a hub, and no hub is claimed for a person who is disabled', async () => {
  await using store = await openTestStore();
  const root = await giveToken(store.database, { person: 'eve', roles: ['administrator'] });
  assert.equal(await refusalOf(claim(store, root)), 'conflict');
  const bootstrap = await giveToken(store.database, { person: 'operator', roles: ['administrator'], bootstrap: true });
  await store.database.write((trx) =>
    trx.updateTable('person').set({ disabled_at: 1 }).where('name', '=', 'eve').execute(),
  );
  assert.equal(await refusalOf(claim(store, bootstrap, 'eve')), 'conflict');
});

test('what the bootstrap made is the claimed token’s: it ends with it and no later, under the name of who claimed', async () => {
  await using store = await openTestStore();
  const bootstrap = await giveToken(store.database, { person: 'operator', roles: ['administrator'], bootstrap: true });
  const own = await madeBy(store, bootstrap, 'own', { person: 'operator' });
  const soon = await madeBy(store, bootstrap, 'soon', { end: nowMs + hour });
  await claim(store, bootstrap);
  assert.deepEqual([(await row(store, own)).person, (await row(store, own)).expires_at], ['ada', nowMs + 2 * hour]);
  assert.deepEqual([(await row(store, soon)).person, (await row(store, soon)).expires_at], [null, nowMs + hour]);
  await store.database.write((trx) => endTokens(trx, [sha256Hex('claimed by ada')], nowMs));
  for (const sha256 of [own, soon]) assert.notEqual((await row(store, sha256)).revoked_at, null);
});

test('a token that is handed over ends with its new maker, and no later than either', async () => {
  await using store = await openTestStore();
  const ada = await giveToken(store.database, { person: 'ada', roles: ['administrator'] });
  const bob = await giveToken(store.database, { person: 'bob', roles: ['administrator'], expiresAtMs: nowMs + hour });
  const over = (id: string, caller: Caller) =>
    handOverToken(store.database, { caller, actor: caller.actor, nowMs, id: tokenId(id) });
  const long = await madeBy(store, ada, 'long', {});
  const short = await madeBy(store, ada, 'short', { end: nowMs + 1_000 });
  const child = await madeBy(store, { ...ada, tokenSha256: long }, 'child', {});
  assert.equal((await over(long, bob)).expiresAt, nowMs + hour);
  assert.equal((await over(short, bob)).expiresAt, nowMs + 1_000);
  assert.deepEqual(
    [(await row(store, long)).derived_from, (await row(store, child)).expires_at],
    [bob.tokenSha256, nowMs + hour],
  );
  await store.database.write((trx) => endTokens(trx, [bob.tokenSha256], nowMs));
  assert.notEqual((await row(store, child)).revoked_at, null);
});

test('the token of a person is not handed over, and a service takes none', async () => {
  await using store = await openTestStore();
  const ada = await giveToken(store.database, { person: 'ada', roles: ['administrator'] });
  const service = await giveToken(store.database, { name: 'ci', roles: ['administrator'] });
  const over = (id: string, caller: Caller) =>
    handOverToken(store.database, { caller, actor: caller.actor, nowMs, id: tokenId(id) });
  assert.equal(await refusalOf(over(ada.tokenSha256, ada)), 'conflict');
  const made = await madeBy(store, ada, 'made', {});
  assert.equal(await refusalOf(over(made, service)), 'conflict');
  await store.database.write((trx) => endTokens(trx, [made], nowMs));
  assert.equal(await refusalOf(over(made, ada)), 'not-found');
});
