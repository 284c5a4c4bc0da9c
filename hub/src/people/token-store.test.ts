// Who makes tokens for whom: nobody grants more than they have, or for longer than they have it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Hex } from '@edgekeep/core/digest';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { type Caller, findCaller } from './api-token.ts';
import { giveToken, tokensMadeMs as nowMs } from './testing-people.ts';
import { createToken, revokeTokens, type TokenOrder } from './token-store.ts';

const day = 86_400;
const LIFE_DAYS_MAX = 400;

function make({ database }: TestStore, caller: Caller, order: Partial<TokenOrder> = {}) {
  const whole = { name: 'new', roles: [], scopes: [], owner: undefined, sha256: undefined, lifeSeconds: undefined };
  return createToken(
    database,
    { ...whole, ...order },
    { caller, actor: caller.actor, nowMs, maxLifeDays: LIFE_DAYS_MAX },
  );
}
const until = (days: number) => nowMs + days * day * 1_000;
const forPerson = (name: string) => ({ kind: 'person', name }) as const;
const row = ({ database }: TestStore, id: string) =>
  database.read.selectFrom('api_token').selectAll().where('sha256', 'like', `${id}%`).executeTakeFirstOrThrow();
const isValid = async (store: TestStore, id: string) =>
  typeof (await findCaller(store.database.read, (await row(store, id)).sha256, nowMs)) !== 'string';

test('a token makes others with its own scopes at most, and for its own holder only', async () => {
  await using store = await openTestStore();
  const ada = await giveToken(store.database, { person: 'ada', scopes: ['devices:read', 'tokens:write'] });
  await giveToken(store.database, { person: 'bob' });
  const { id } = await make(store, ada, { scopes: ['devices:read'] });
  assert.deepEqual([(await row(store, id)).person, (await row(store, id)).scopes], ['ada', 'devices:read']);
  for (const wider of [
    { scopes: ['devices:write'] },
    { scopes: ['devices:read', 'devices:write'] },
    { scopes: ['admin'] },
    { roles: ['viewer'] },
    { scopes: ['devices:read'], owner: forPerson('bob'), sha256: sha256Hex('own') },
    { scopes: ['devices:read'], owner: { kind: 'service' } as const },
  ])
    assert.equal(await refusalOf(make(store, ada, wider)), 'scope-missing', JSON.stringify(wider));
});

test('a token ends no later than the one that made it, also when that one may do everything', async () => {
  await using store = await openTestStore();
  const root = await giveToken(store.database, { person: 'ada', roles: ['administrator'], expiresAtMs: until(10) });
  assert.equal((await make(store, root)).expiresAt, until(10));
  assert.equal((await make(store, root, { lifeSeconds: 9 * day })).expiresAt, until(9));
  assert.equal(await refusalOf(make(store, root, { lifeSeconds: 10 * day + 1 })), 'request-invalid');
  const service = { owner: { kind: 'service' } as const, lifeSeconds: 11 * day };
  assert.equal(await refusalOf(make(store, root, service)), 'request-invalid');
  assert.equal(await refusalOf(make(store, root, { lifeSeconds: 401 * day })), 'request-invalid');
});

test('what a token made ends with it, however deep, and what it made for another person does not', async () => {
  await using store = await openTestStore();
  const root = await giveToken(store.database, { person: 'ada', roles: ['administrator'] });
  await giveToken(store.database, { person: 'bob' });
  const child = await make(store, root, { name: 'child', scopes: ['tokens:write'] });
  const childCaller = await findCaller(store.database.read, (await row(store, child.id)).sha256, nowMs);
  assert.ok(typeof childCaller !== 'string');
  const grandchild = await make(store, childCaller, { name: 'grandchild' });
  const service = await make(store, root, { name: 'ci', owner: { kind: 'service' } });
  const bobs = await make(store, root, { name: 'bobs', owner: forPerson('bob'), sha256: sha256Hex('of bob') });
  assert.equal(await revokeTokens(store.database, 'desk', { caller: root, actor: root.actor, nowMs }), 4);
  for (const { id } of [child, grandchild, service]) assert.equal(await isValid(store, id), false);
  assert.equal(await isValid(store, bobs.id), true);
});

test('a token for another person is registered by its digest, so that nobody else ever has its text', async () => {
  await using store = await openTestStore();
  const root = await giveToken(store.database, { person: 'ada', roles: ['administrator'] });
  await giveToken(store.database, { person: 'bob' });
  assert.equal(await refusalOf(make(store, root, { owner: forPerson('bob') })), 'request-invalid');
  const made = await make(store, root, { owner: forPerson('bob'), sha256: sha256Hex('of bob') });
  assert.equal(made.token, undefined);
  const again = make(store, root, { owner: forPerson('bob'), sha256: sha256Hex('of bob') });
  assert.equal(await refusalOf(again), 'conflict');
  const unknown = make(store, root, { owner: forPerson('eve'), sha256: sha256Hex('of eve') });
  assert.equal(await refusalOf(unknown), 'not-found');
});

test('nobody revokes a token of another person but an administrator', async () => {
  await using store = await openTestStore();
  const ada = await giveToken(store.database, { person: 'ada', name: 'hers', scopes: ['tokens:write'] });
  const bob = await giveToken(store.database, { person: 'bob', name: 'his', scopes: ['tokens:write'] });
  const root = await giveToken(store.database, { person: 'root', roles: ['administrator'] });
  const revoke = (caller: Caller) => revokeTokens(store.database, 'his', { caller, actor: caller.actor, nowMs });
  assert.equal(await refusalOf(revoke(ada)), 'not-found');
  assert.equal(typeof (await findCaller(store.database.read, bob.tokenSha256, nowMs)), 'object');
  assert.equal(await revoke(root), 1);
  assert.equal(typeof (await findCaller(store.database.read, bob.tokenSha256, nowMs)), 'string');
});
