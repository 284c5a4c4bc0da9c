import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256Hex } from '@edgekeep/core/digest';
import { openTestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { assertScope, authenticate } from './api-token.ts';
import { disablePerson } from './people.ts';
import { callerOf, giveToken, tokensMadeMs as nowMs, whyNot } from './testing-people.ts';
import { tokenAuthority } from './token-authority.ts';
import { addToken, endTokens, newTokenText } from './token-store.ts';

const reader = { person: 'ada', scopes: ['devices:read'] };

test('a token says whose it is and what it may do, until its end and not a moment longer', async () => {
  await using store = await openTestStore();
  const ada = await giveToken(store.database, { ...reader, roles: ['publisher'], expiresAtMs: nowMs + 1_000 });
  assert.deepEqual([ada.person, ada.actor], ['ada', 'person:ada/desk']);
  assert.deepEqual(ada.scopes.toSorted(), ['devices:read', 'models:publish', 'models:read', 'tokens:write']);
  await callerOf(store.database, ada.tokenSha256, nowMs + 999);
  assert.match(await whyNot(store.database, ada.tokenSha256, nowMs + 1_000), /expired/);
});

test('a token that was revoked, one of a disabled person and one that nobody made are good for nothing', async () => {
  await using store = await openTestStore();
  const [ada, bob] = [await giveToken(store.database, reader), await giveToken(store.database, { person: 'bob' })];
  await store.database.write((trx) => endTokens(trx, [ada.tokenSha256], nowMs));
  await disablePerson(store.database, { name: 'bob', reason: 'left', actor: 'test', nowMs });
  await store.database.write((trx) =>
    trx.updateTable('api_token').set({ revoked_at: null }).where('person', '=', 'bob').execute(),
  );
  assert.match(await whyNot(store.database, ada.tokenSha256), /not known/);
  assert.match(await whyNot(store.database, bob.tokenSha256), /disabled/);
  assert.match(await whyNot(store.database, sha256Hex('another')), /not known/);
});

test('the door takes a token in its one form, and refuses every other text', async () => {
  await using store = await openTestStore();
  const text = newTokenText();
  const token = { name: 'ci', person: undefined, roles: [], scopes: ['audit:read'], derivedFrom: undefined };
  await store.database.write((trx) =>
    addToken(trx, { ...token, sha256: sha256Hex(text), expiresAtMs: nowMs + 1, actor: 'test', nowMs }),
  );
  const door = (header: string | undefined) => authenticate(store.database, header, nowMs);
  assert.equal((await door(`Bearer ${text}`)).actor, 'service:ci');
  for (const header of [undefined, '', text, `Bearer ${text}x`, `bearer ${text}`, `Bearer ${text} `, `Basic ${text}`])
    assert.equal(await refusalOf(door(header)), 'token-required');
  assert.equal(await refusalOf(door(`Bearer ${newTokenText()}`)), 'token-refused');
});

test('a token does what its scopes name and nothing else; admin does everything', async () => {
  await using store = await openTestStore();
  const ada = await giveToken(store.database, { person: 'ada', scopes: ['devices:read', 'tokens:write'] });
  assertScope(ada, 'devices:read');
  for (const scope of ['devices:write', 'models:publish', 'policy:write', 'admin'] as const)
    assert.equal(await refusalOf(() => assertScope(ada, scope)), 'scope-missing', scope);
  const root = await giveToken(store.database, { person: 'root', roles: ['administrator'] });
  assertScope(root, 'policy:write');
});

test('a role or scope that is not known grants nothing', async () => {
  await using store = await openTestStore();
  const ada = await giveToken(store.database, {
    person: 'ada',
    roles: ['emperor', 'toString'],
    scopes: ['everything'],
  });
  assert.deepEqual(ada.scopes, []);
});

test('the authority of a request is read again: end, revocation and scope at the moment of the act', async () => {
  await using store = await openTestStore();
  const { read } = store.database;
  const ada = await giveToken(store.database, { ...reader, expiresAtMs: nowMs + 1_000 });
  let clockMs = nowMs;
  const authority = (scope: 'devices:read' | 'devices:write' | 'any') => tokenAuthority(ada, scope, () => clockMs);
  await authority('devices:read').stands(read);
  await authority('any').stands(read);
  assert.equal(await refusalOf(authority('devices:write').stands(read)), 'scope-missing');
  clockMs += 1_000;
  assert.equal(await refusalOf(authority('devices:read').stands(read)), 'token-refused');
  clockMs = nowMs;
  await store.database.write((trx) => endTokens(trx, [ada.tokenSha256], nowMs));
  assert.equal(await refusalOf(authority('any').stands(read)), 'token-refused');
});
