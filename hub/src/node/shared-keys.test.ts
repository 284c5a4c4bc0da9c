import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import { auditEntries, openTestStore } from '../store/testing-store.ts';
import { encodeKeyDocument } from './key-document.ts';
import { KeyEncryptionKey } from './key-encryption-key.ts';
import { joinNode } from './join.ts';
import { readNodeFile } from './node-file.ts';
import { listNodes } from './nodes.ts';
import { firstDocument, nodeSlot, rewrapped } from './opened-document.ts';
import { inviteNode, removeNode } from './orders.ts';
import { newNodeKey, nodeKeyName } from './shared-keys.ts';
import { firstNode, joinedNode, joiningWith, openLocal, type TestNode, testCode } from './testing-node.ts';

const refusedWith = (code: string) => (error: unknown) => error instanceof HubError && error.code === code;
const text = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString());

async function secondNode(database: Database, one: TestNode, name = 'two'): Promise<TestNode> {
  const code = testCode();
  await inviteNode(one.orders, { name, publicKey: code.publicKey, lifeSeconds: 60, actor: 'ada' });
  const pem = newNodeKey();
  return joinedNode(database, await joinNode(one.orders, joiningWith(code, pem)), pem);
}

async function storedDocument(database: Database): Promise<Uint8Array> {
  return (await database.read.selectFrom('key_document').select('document').executeTakeFirstOrThrow()).document;
}

async function putBack(database: Database, document: Uint8Array, version: number): Promise<void> {
  await database.writeAsHub((trx) => trx.updateTable('key_document').set({ document, version }).execute());
}

test('the sealed keys of a data folder move into the store, and the folder keeps the key of the node alone', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log', 'state.key': 'the state' });
  assert.equal(text(await one.keys.read('log-key.pem')), 'the log');
  assert.deepEqual(await one.keys.names(), ['log-key.pem', 'state.key']);
  assert.deepEqual(await (await openLocal(one.folder)).names(), [nodeKeyName]);
  assert.equal((await readNodeFile(one.folder))?.keys?.version, 1);
  await using again = await one.again();
  assert.equal(text(await again.read('state.key')), 'the state');
});

test('a key that one node made is read by another, and one that it removed is gone there', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  await using two = await secondNode(store.database, one);
  await one.keys.add('issuing-1.pem', Buffer.from('a CA'));
  assert.equal(text(await two.keys.read('issuing-1.pem')), 'a CA');
  await two.keys.add('platform-2.key', Buffer.from('a key'));
  await one.keys.remove('issuing-1.pem');
  assert.equal(await two.keys.read('issuing-1.pem'), undefined);
  assert.deepEqual(await one.keys.names(), ['log-key.pem', 'platform-2.key']);
  const changes = (await auditEntries(store.database)).filter(({ kind }) => kind === 'hub-keys-changed');
  assert.deepEqual(
    changes.map(({ data }) => data['change']),
    ['moved-in', 'node-invited', 'node-joined', 'added', 'added', 'removed'],
  );
  await assert.rejects(two.keys.add('log-key.pem', Buffer.from('x')), refusedWith('conflict'));
});

// SECURITY.md: HUB-121
test('older keys that somebody put back into the database are refused by a node that used later ones, also after its restart', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  const old = await storedDocument(store.database);
  await one.keys.add('platform-2.key', Buffer.from('a key'));
  await putBack(store.database, old, 1);
  await assert.rejects(one.keys.read('log-key.pem'), refusedWith('keys-put-back'));
  await assert.rejects(one.again(), refusedWith('keys-put-back'));
});

// SECURITY.md: HUB-122
test('keys of an attacker who writes the database and knows the public keys of the nodes are refused', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'platform.key': 'ours' });
  const { hub } = one.keys.document;
  const pem = await (await openLocal(one.folder)).read(nodeKeyName);
  // The public half is all that they need, and is in the database.
  const node = { id: one.file.id, name: one.file.name, key: createPrivateKey(Buffer.from(pem ?? '')) };
  const entries = new Map([['platform.key', Buffer.from('theirs')]]);
  using theirs = KeyEncryptionKey.make(1);
  using next = KeyEncryptionKey.make(2);
  const made = firstDocument(hub, theirs, node, entries);
  for (const document of [made, firstDocument(hub, next, node, entries), rewrapped(made, theirs, () => true)]) {
    await putBack(store.database, encodeKeyDocument(document), 7);
    await assert.rejects(one.again(), refusedWith('sealed-keys-invalid'));
  }
});

test('a changed byte of the keys in the store is refused', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  const document = Buffer.from(await storedDocument(store.database)).toString();
  const other = document.replace('"name":"one"', '"name":"two"');
  assert.notEqual(other, document);
  await putBack(store.database, Buffer.from(other), 2);
  await assert.rejects(one.keys.read('log-key.pem'), refusedWith('sealed-keys-invalid'));
});

// SECURITY.md: HUB-123
test('a removed node opens nothing that is written afterwards, and its key-encryption key opens no later entry', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  await using two = await secondNode(store.database, one);
  await using three = await secondNode(store.database, one, 'three');
  await three.keys.refresh();
  const before = await storedDocument(store.database);
  assert.equal(text(await two.keys.read('log-key.pem')), 'the log');
  await removeNode(one.orders, { name: 'two', reason: 'stolen', actor: 'ada' });
  await one.keys.add('platform-2.key', Buffer.from('a key'));
  await assert.rejects(two.keys.read('platform-2.key'), refusedWith('node-unknown'));
  await assert.rejects(two.again(), refusedWith('node-unknown'));
  assert.equal(text(await three.keys.read('platform-2.key')), 'a key');
  assert.equal(three.keys.document.kek, 2);
  // It puts back the document in which it was a node: the others have seen later ones.
  await putBack(store.database, before, 5);
  await assert.rejects(three.again(), refusedWith('keys-put-back'));
});

// SECURITY.md: HUB-123
test('a stolen node that changes its row in the database is removed all the same: the signed document says whose key it is', async () => {
  const changes: readonly ((database: Database, id: string) => Promise<unknown>)[] = [
    (database, id) =>
      database.writeAsHub((trx) =>
        trx
          .updateTable('node')
          .set({ id: 'f'.repeat(32) })
          .where('id', '=', id)
          .execute(),
      ),
    (database, id) => database.writeAsHub((trx) => trx.deleteFrom('node').where('id', '=', id).execute()),
    (database, id) =>
      database.writeAsHub((trx) => trx.updateTable('node').set({ removed_at: 1 }).where('id', '=', id).execute()),
    (database, id) =>
      database.writeAsHub((trx) => trx.updateTable('node').set({ name: 'zwei' }).where('id', '=', id).execute()),
    (database, id) =>
      database.writeAsHub((trx) => trx.updateTable('node').set({ addresses: '{' }).where('id', '=', id).execute()),
  ];
  for (const change of changes) {
    await using store = await openTestStore();
    await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
    await using two = await secondNode(store.database, one);
    await change(store.database, two.file.id);
    const listed = await listNodes(store.database.read, store.database.clock, one.keys.document.nodes);
    assert.ok(listed.some(({ id, name, state }) => id === two.file.id && name === 'two' && state !== 'removed'));
    await removeNode(one.orders, { name: 'two', reason: 'stolen', actor: 'ada' });
    await one.keys.add('platform-2.key', Buffer.from('a key'));
    await assert.rejects(two.keys.read('platform-2.key'), refusedWith('node-unknown'));
    assert.equal(text(await one.keys.read('platform-2.key')), 'a key');
  }
});

// SECURITY.md: HUB-123
test('a stolen node that signed a second place for itself, or a code, has neither after its removal', async () => {
  await using store = await openTestStore();
  const { database } = store;
  await using one = await firstNode(database, { 'log-key.pem': 'the log' });
  await using two = await secondNode(database, one);
  const code = testCode();
  const pem = newNodeKey();
  const [ghost, publicKey] = ['e'.repeat(32), createPublicKey(createPrivateKey(Buffer.from(pem)))];
  // It has the key-encryption key, and its changes are signed as those of any node.
  await database.writeAsHub((trx) =>
    two.keys.change(trx, { change: 'added' }, 'hub', ({ document, kek }) => ({
      nodes: [...document.nodes, nodeSlot(document.hub, kek, { id: ghost, name: 'ghost', publicKey })],
      invitations: [
        { id: code.id, name: 'later', publicKey: code.publicKey, expiresAt: Date.now() + 60_000, usedBy: null },
      ],
    })),
  );
  await one.keys.refresh();
  const listed = await listNodes(database.read, database.clock, one.keys.document.nodes);
  assert.ok(listed.some(({ name }) => name === 'ghost'));
  await removeNode(one.orders, { name: 'two', reason: 'stolen', actor: 'ada' });
  assert.deepEqual(
    one.keys.document.nodes.map(({ name }) => name),
    ['one'],
  );
  await assert.rejects(joinNode(one.orders, joiningWith(code, newNodeKey())), refusedWith('join-refused'));
});

test('a node that slept through several removals follows, each key-encryption key vouching for the next', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  await using sleeper = await secondNode(store.database, one, 'sleeper');
  for (const name of ['a', 'b', 'c']) {
    await using other = await secondNode(store.database, one, name);
    await removeNode(one.orders, { name, reason: 'gone', actor: 'ada' });
    assert.equal(other.file.name, name);
  }
  assert.equal(one.keys.document.kek, 4);
  assert.equal(text(await sleeper.keys.read('log-key.pem')), 'the log');
});

test('the node that answers does not remove itself, nor a node that is gone', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  await assert.rejects(removeNode(one.orders, { name: 'one', reason: 'x', actor: 'ada' }), refusedWith('conflict'));
  await assert.rejects(removeNode(one.orders, { name: 'two', reason: 'x', actor: 'ada' }), refusedWith('not-found'));
});

test('the keys of a hub that gets one process again are in its data folder', async () => {
  await using store = await openTestStore();
  await using one = await firstNode(store.database, { 'log-key.pem': 'the log' });
  await one.keys.add('platform-2.key', Buffer.from('a key'));
  await one.keys.takeHome();
  const local = await openLocal(one.folder);
  assert.deepEqual(await local.names(), ['log-key.pem', 'platform-2.key']);
  assert.equal(text(await local.read('platform-2.key')), 'a key');
});
