import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import { auditEntries, openTestStore } from '../store/testing-store.ts';
import { joinNode } from './join.ts';
import { inviteNode, type NodeOrderDependencies } from './orders.ts';
import { newNodeKey } from './shared-keys.ts';
import { firstNode, joiningWith, type TestNode, testCode } from './testing-node.ts';

const refusedWith = (code: string) => (error: unknown) => error instanceof HubError && error.code === code;

async function invited(one: TestNode, name = 'two') {
  const code = testCode();
  await inviteNode(one.orders, { name, publicKey: code.publicKey, lifeSeconds: 60, actor: 'ada' });
  return code;
}

const nodesIn = async ({ read }: Database) =>
  (await read.selectFrom('node').select('name').orderBy('name').execute()).map(({ name }) => name);

// SECURITY.md: HUB-124
test('a code lets one node join: another machine with the same code is refused, the same one gets the same answer', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  const code = await invited(one);
  const pem = newNodeKey();
  const first = await joinNode(one.orders, joiningWith(code, pem));
  const again = await joinNode(one.orders, joiningWith(code, pem));
  assert.equal(again.id, first.id);
  await assert.rejects(joinNode(one.orders, joiningWith(code, newNodeKey())), refusedWith('join-refused'));
  assert.deepEqual(await nodesIn(store.database), ['one', 'two']);
  const joined = (await auditEntries(store.database)).filter(({ kind }) => kind === 'node-joined');
  assert.deepEqual(
    joined.map(({ actor, subject }) => [actor, subject]),
    [[`code:${code.id}`, 'node:two']],
  );
});

test('two machines that use one code at the same moment do not both join', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  const code = await invited(one);
  const tries = await Promise.allSettled([1, 2, 3, 4].map(() => joinNode(one.orders, joiningWith(code, newNodeKey()))));
  assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1);
  assert.deepEqual(await nodesIn(store.database), ['one', 'two']);
});

// SECURITY.md: HUB-125
test('a request to join that was signed for another connection, root, node key or by another code is refused', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  const code = await invited(one);
  const pem = newNodeKey();
  const joining = joiningWith(code, pem);
  const forged = [
    { ...joining, binding: new Uint8Array(32).fill(1) },
    { ...joining, root: '1'.repeat(64) },
    { ...joining, nodeKey: joiningWith(code, newNodeKey()).nodeKey },
    { ...joining, signature: joiningWith(testCode(), pem).signature },
    { ...joining, code: '0'.repeat(16) },
    { ...joining, signature: new Uint8Array(64) },
  ];
  for (const each of forged) await assert.rejects(joinNode(one.orders, each), refusedWith('join-refused'));
  assert.deepEqual(await nodesIn(store.database), ['one']);
});

test('an expired code lets nobody join, and a node of the same name is invited again', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  const code = await invited(one);
  const later: NodeOrderDependencies = { ...one.orders, clock: () => Date.now() + 61_000 };
  await assert.rejects(joinNode(later, joiningWith(code, newNodeKey())), refusedWith('join-refused'));
  const next = await invited(one);
  await assert.rejects(joinNode(one.orders, joiningWith(code, newNodeKey())), refusedWith('join-refused'));
  assert.equal((await joinNode(one.orders, joiningWith(next, newNodeKey()))).name, 'two');
  await assert.rejects(invited(one), refusedWith('conflict'));
});

test('a key that is not P-256 is no key of a node', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  const code = await invited(one);
  const joining = joiningWith(code, newNodeKey());
  await assert.rejects(
    joinNode(one.orders, { ...joining, nodeKey: new Uint8Array(91) }),
    refusedWith('request-invalid'),
  );
});
