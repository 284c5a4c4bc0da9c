// What is done with enrollment tokens once they are made: each ends with its maker, or with who took it over.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveToken, tokensMadeMs as nowMs } from '../people/testing-people.ts';
import { endTokens, tokenId } from '../people/token-store.ts';
import { auditEntries, openTestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { createEnrollmentToken, findEnrollmentToken } from './one-time-token.ts';
import { handOverEnrollmentToken, listEnrollmentTokens, revokeEnrollmentToken } from './token-orders.ts';

const by = { actor: 'person:ada/desk', nowMs };
const press = { deviceId: 'press-1', tier: 'tpm', nowMs };

async function storeWithToken() {
  const store = await openTestStore();
  const { database } = store;
  const ada = await giveToken(database, { person: 'ada', roles: ['operator'] });
  const bob = await giveToken(database, { person: 'bob', roles: ['operator'], expiresAtMs: nowMs + 1_000 });
  const order = { deviceId: undefined, tier: undefined, lifeSeconds: 60, maker: ada, ...by };
  const { token } = await createEnrollmentToken(database, order);
  const find = (atMs = nowMs) => findEnrollmentToken(database.read, token, { ...press, nowMs: atMs });
  const id = tokenId((await find()).sha256);
  const states = async () => {
    const { tokens } = await listEnrollmentTokens(database.read, { state: 'any', after: '', limit: 10, nowMs });
    return tokens.map(({ state, endsWith }) => `${state} ${endsWith === tokenId(bob.tokenSha256) ? 'bob' : 'ada'}`);
  };
  return { ...store, ada, bob, id, find, states };
}

test('a token that is taken over ends with its new maker and no longer with the old one, and no later than either', async () => {
  await using store = await storeWithToken();
  const { database, ada, bob, id } = store;
  const { expiresAt } = await handOverEnrollmentToken(database, { id, caller: bob, ...by });
  assert.equal(expiresAt, nowMs + 1_000);
  await database.write((trx) => endTokens(trx, [ada.tokenSha256], nowMs));
  await store.find();
  assert.deepEqual(await store.states(), ['usable bob']);
  await database.write((trx) => endTokens(trx, [bob.tokenSha256], nowMs));
  assert.equal(await refusalOf(store.find()), 'enrollment-refused');
  assert.deepEqual(await store.states(), ['maker-ended bob']);
});

test('a service takes nothing over, and nobody a token that cannot be used any more', async () => {
  await using store = await storeWithToken();
  const { database, bob, id } = store;
  const service = await giveToken(database, { name: 'ci', roles: ['operator'] });
  assert.equal(await refusalOf(handOverEnrollmentToken(database, { id, caller: service, ...by })), 'conflict');
  await revokeEnrollmentToken(database, { id, ...by });
  assert.equal(await refusalOf(handOverEnrollmentToken(database, { id, caller: bob, ...by })), 'not-found');
  assert.deepEqual(await store.states(), ['revoked ada']);
  assert.equal((await auditEntries(database)).at(-1)?.subject, 'any-device');
});

test('the list of usable tokens leaves out those that are used, revoked, ended or without a maker', async () => {
  await using store = await storeWithToken();
  const usable = async (atMs: number) =>
    (await listEnrollmentTokens(store.database.read, { state: 'usable', after: '', limit: 10, nowMs: atMs })).tokens
      .length;
  assert.deepEqual([await usable(nowMs), await usable(nowMs + 60_000)], [1, 0]);
  await store.database.write((trx) => trx.updateTable('enrolment_token').set({ used_by: 'press-1' }).execute());
  assert.deepEqual([await usable(nowMs), await store.states()], [0, ['used ada']]);
});
