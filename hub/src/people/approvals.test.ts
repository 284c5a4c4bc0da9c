// A root operation needs two people: who may approve what, when, and how often.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import type { Caller } from './api-token.ts';
import {
  getRequest,
  grantRequest,
  keepRequest,
  listRequests,
  type PendingRequest,
  recordOutcome,
  refuseRequest,
} from './approvals.ts';
import { giveToken, tokensMadeMs as nowMs } from './testing-people.ts';
import { endTokens } from './token-store.ts';

const pending: PendingRequest = {
  operation: 'retire-device',
  scope: 'admin',
  method: 'POST',
  path: '/v1/devices/press-1/retire',
  body: '{"reason":"sold"}',
};
const lifeSeconds = 600;

async function twoPeople(store: TestStore) {
  const ada = await giveToken(store.database, { person: 'ada', roles: ['administrator'] });
  const bob = await giveToken(store.database, { person: 'bob', roles: ['administrator'] });
  const ask = (caller: Caller = ada, change: Partial<PendingRequest> = {}) =>
    keepRequest(
      store.database,
      { ...pending, ...change },
      { caller, person: caller.person ?? '', address: '192.0.2.1', nowMs, lifeSeconds },
    );
  return { ada, bob, ask };
}
const grant = ({ database }: TestStore, id: string, caller: Caller, digest: string, atMs = nowMs) =>
  grantRequest(database, id, { caller, digest, nowMs: atMs });

test('what one person asked for, another approves: once, and exactly that', async () => {
  await using store = await openTestStore();
  const { ada, bob, ask } = await twoPeople(store);
  const { id, digest } = await ask();
  const { request, requester } = await grant(store, id, bob, digest);
  assert.deepEqual(
    [request.state, request.person, request.decided_by, request.body],
    ['approved', 'ada', 'bob', pending.body],
  );
  assert.equal(requester.actor, ada.actor);
  assert.equal(await refusalOf(grant(store, id, bob, digest)), 'conflict');
  assert.equal(await recordOutcome(store.database, id, 204), 'executed');
  assert.equal(await refusalOf(grant(store, id, bob, digest)), 'conflict');
  const kinds = (await auditEntries(store.database)).map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(-2), ['approval-requested', 'approval-given']);
});

test('nobody approves their own request, with any token', async () => {
  await using store = await openTestStore();
  const { ada, ask } = await twoPeople(store);
  const other = await giveToken(store.database, { person: 'ada', name: 'phone', roles: ['administrator'] });
  const { id, digest } = await ask();
  assert.equal(await refusalOf(grant(store, id, ada, digest)), 'approval-refused: same-person');
  assert.equal(await refusalOf(grant(store, id, other, digest)), 'approval-refused: same-person');
});

test('a service approves nothing, and refuses nothing', async () => {
  await using store = await openTestStore();
  const { ask } = await twoPeople(store);
  const service = await giveToken(store.database, { name: 'ci', roles: ['administrator'] });
  const { id, digest } = await ask();
  assert.equal(await refusalOf(grant(store, id, service, digest)), 'approval-refused: not-a-person');
  const refusal = refuseRequest(store.database, id, { caller: service, reason: 'no', nowMs });
  assert.equal(await refusalOf(refusal), 'approval-refused: not-a-person');
});

test('an approval is for the request that was shown, and for no other', async () => {
  await using store = await openTestStore();
  const { bob, ask } = await twoPeople(store);
  const shown = await ask();
  const other = await ask(undefined, { body: '{"reason":"gift"}' });
  assert.notEqual(other.digest, shown.digest);
  assert.equal(await refusalOf(grant(store, other.id, bob, shown.digest)), 'approval-refused: digest-differs');
});

test('nobody approves a request whose time is over', async () => {
  await using store = await openTestStore();
  const { bob, ask } = await twoPeople(store);
  const { id, digest, expires_at: end } = await ask();
  assert.equal(end, nowMs + lifeSeconds * 1_000);
  assert.equal(await refusalOf(grant(store, id, bob, digest, end)), 'conflict');
  assert.equal((await grant(store, id, bob, digest, end - 1)).request.state, 'approved');
});

test('both tokens must still stand and have the scope: that of who asked, and that of who approves', async () => {
  await using store = await openTestStore();
  const { ada, bob, ask } = await twoPeople(store);
  const reader = await giveToken(store.database, { person: 'eve', roles: ['viewer'] });
  const { id, digest } = await ask();
  assert.equal(await refusalOf(grant(store, id, reader, digest)), 'approval-refused: scope-missing');
  await store.database.write((trx) => endTokens(trx, [ada.tokenSha256], nowMs));
  assert.equal(await refusalOf(grant(store, id, bob, digest)), 'approval-refused: token-ended');
  const second = await ask(bob);
  await store.database.write((trx) => endTokens(trx, [bob.tokenSha256], nowMs));
  const third = await giveToken(store.database, { person: 'third', roles: ['administrator'] });
  assert.equal(await refusalOf(grant(store, second.id, third, second.digest)), 'approval-refused: token-ended');
});

test('a request that was refused is not approved later, and one that waits is not kept twice', async () => {
  await using store = await openTestStore();
  const { bob, ask } = await twoPeople(store);
  const { id, digest } = await ask();
  assert.equal((await ask()).id, id);
  await refuseRequest(store.database, id, { caller: bob, reason: 'not now', nowMs });
  assert.equal(await refusalOf(grant(store, id, bob, digest)), 'conflict');
  assert.notEqual((await ask()).id, id);
});

test('one person keeps at most twenty requests waiting', async () => {
  await using store = await openTestStore();
  const { ask } = await twoPeople(store);
  for (let at = 0; at < 20; at += 1) await ask(undefined, { body: `{"at":${at}}` });
  assert.equal(await refusalOf(ask()), 'rate-limited');
});

test('only who could approve a request, or made it, reads it', async () => {
  await using store = await openTestStore();
  const { ada, bob, ask } = await twoPeople(store);
  const reader = await giveToken(store.database, { person: 'eve', roles: ['viewer'] });
  const { id } = await ask();
  for (const caller of [ada, bob])
    assert.equal((await getRequest(store.database, caller, id, nowMs)).body, pending.body);
  assert.equal(await refusalOf(getRequest(store.database, reader, id, nowMs)), 'not-found');
  assert.deepEqual(await listRequests(store.database, reader, { state: 'any', nowMs }), []);
  assert.equal((await listRequests(store.database, bob, { state: 'waiting', nowMs })).length, 1);
});

test('an approval whose outcome never came is shown as interrupted', async () => {
  await using store = await openTestStore();
  const { bob, ask } = await twoPeople(store);
  const { id, digest } = await ask();
  await grant(store, id, bob, digest);
  const stateAt = async (atMs: number) => (await getRequest(store.database, bob, id, atMs)).state;
  assert.deepEqual([await stateAt(nowMs + 120_000), await stateAt(nowMs + 120_001)], ['approved', 'interrupted']);
  assert.equal(await recordOutcome(store.database, id, 500), 'failed');
});
