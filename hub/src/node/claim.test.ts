import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HubError } from '../common/error.ts';
import type { Database } from '../store/database.ts';
import { openTestStore } from '../store/testing-store.ts';
import { assertNode, CLAIM_MS, claimNode, endClaim } from './claim.ts';
import { newNode, type NodeFile } from './node-file.ts';
import { listNodes } from './nodes.ts';
import { sealedFolder } from './testing-node.ts';

const refusedWith = (code: string) => (error: unknown) => error instanceof HubError && error.code === code;
const clock = () => Date.now();
const claimed = (database: Database, folder: string, file: NodeFile, elapsedMs?: () => number) =>
  claimNode(database, { folder, file, addresses: '', clock, ...(elapsedMs === undefined ? {} : { elapsedMs }) });
const written = (database: Database) =>
  database.writeAsHub((trx) => trx.updateTable('node').set({ version: 'written' }).execute());

/** The folder of a node, and a copy of it. */
async function copiedFolder(): Promise<readonly [string, string]> {
  const folder = await sealedFolder({ 'log-key.pem': 'a' });
  const copy = await mkdtemp(join(tmpdir(), 'edgekeep-copy-'));
  await cp(folder, copy, { recursive: true });
  return [folder, copy];
}

// SECURITY.md: HUB-126
test('a folder that is no node of a store is refused: another hub, a copied database, a removed node', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [folder, other] = [await sealedFolder({ 'log-key.pem': 'a' }), await sealedFolder({ 'log-key.pem': 'a' })];
  const file = newNode('one');
  await claimed(database, folder, file);
  await assert.rejects(assertNode(database.read, undefined), refusedWith('node-unknown'));
  await assert.rejects(assertNode(database.read, newNode('two').id), refusedWith('node-unknown'));
  await assert.rejects(claimed(database, other, newNode('two')), refusedWith('node-unknown'));
  await assertNode(database.read, file.id);
  await database.writeAsHub((trx) => trx.updateTable('node').set({ removed_at: 1 }).execute());
  await assert.rejects(assertNode(database.read, file.id), refusedWith('node-unknown'));
  for (const each of [folder, other]) await rm(each, { recursive: true });
});

test('a process that was killed is followed at once by one in the same folder, and may write no more', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const folder = await sealedFolder({ 'log-key.pem': 'a' });
  const file = newNode('one');
  await claimed(database, folder, file);
  await written(database);
  let fenced = false;
  database.onFenced = () => (fenced = true);
  // As the next process writes it: this one's database still has the fence of the claim before.
  await database.writeAsHub((trx) => trx.updateTable('node').set({ claim: 'another process' }).execute());
  await assert.rejects(written(database), refusedWith('node-ended'));
  assert.ok(fenced);
  await rm(folder, { recursive: true });
});

// SECURITY.md: HUB-127
test('a copied data folder is refused while its first process renews its claim, and taken over when that has lapsed', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [folder, copy] = await copiedFolder();
  const file = newNode('one');
  const { id, claim } = await claimed(database, folder, file);
  const beat = setInterval(() => {
    void database.writeAsHub((trx) => trx.updateTable('node').set({ seen_at: database.clock }).execute());
  }, 20);
  try {
    await assert.rejects(claimed(database, copy, file), refusedWith('node-in-use'));
  } finally {
    clearInterval(beat);
  }
  const lapsed = (await listNodes(database.read, database.clock))[0]?.seenAtMs ?? 0;
  await database.writeAsHub((trx) =>
    trx
      .updateTable('node')
      .set({ seen_at: lapsed - 2 * CLAIM_MS })
      .execute(),
  );
  const [silent] = await listNodes(database.read, database.clock);
  assert.equal(silent?.state, 'silent');
  const next = await claimed(database, copy, file);
  assert.equal(next.id, id);
  assert.notEqual(next.claim, claim);
  for (const each of [folder, copy]) await rm(each, { recursive: true });
});

test('a claim that was renewed in the future of the store is taken over after its time, and its node is shown as silent', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [folder, copy] = await copiedFolder();
  const file = newNode('one');
  const { claim } = await claimed(database, folder, file);
  await database.writeAsHub((trx) =>
    trx
      .updateTable('node')
      .set((q) => ({ seen_at: q('seen_at', '+', 3_600_000) }))
      .execute(),
  );
  assert.equal((await listNodes(database.read, database.clock))[0]?.state, 'silent');
  let elapsedMs = 0;
  const next = await claimed(database, copy, file, () => (elapsedMs += CLAIM_MS));
  assert.notEqual(next.claim, claim);
  for (const each of [folder, copy]) await rm(each, { recursive: true });
});

test('a node that was stopped is taken over by another machine at once', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [folder, copy] = await copiedFolder();
  const file = newNode('one');
  await endClaim(database, await claimed(database, folder, file));
  assert.equal((await listNodes(database.read, database.clock))[0]?.state, 'ended');
  for (const each of [folder, copy]) await rm(each, { recursive: true });
});
