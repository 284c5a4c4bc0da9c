import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { openTestStore } from '../store/testing-store.ts';
import { CLAIM_MS, claimNode } from './claim.ts';
import { NodeWatch } from './node-watch.ts';
import { newNode } from './node-file.ts';
import { sealedFolder } from './testing-node.ts';

const clock = () => Date.now();
const keys = { refresh: async () => undefined, version: 0 };
const { signal } = new AbortController();
const settings = { nodes: { silentSeconds: 60 } };

test('a node that is silent raises one alert, which is over when it is back, and its metrics say so', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const folder = await sealedFolder({ 'log-key.pem': 'a' });
  const claim = await claimNode(database, { folder, file: newNode('one'), addresses: '', clock });
  const watch = new NodeWatch({ database, claim, clock, settings, keys });
  const registry = new Registry();
  watch.metrics(registry);
  const other = {
    id: newNode('two').id,
    name: 'two',
    version: '1',
    addresses: '',
    joined_at: 0,
    claim: 'c',
    place: 'p',
  };
  const counts = { log_size: 0, connections: 7, keys_version: 0, removed_at: null };
  const seen = (agoMs: number) =>
    database.writeAsHub(async (trx) => {
      await trx.deleteFrom('node').where('name', '=', 'two').execute();
      const now = (await trx.selectFrom('node').select('seen_at').where('name', '=', 'one').executeTakeFirstOrThrow())
        .seen_at;
      await trx
        .insertInto('node')
        .values({ ...other, ...counts, seen_at: (now ?? 0) - agoMs })
        .execute();
    });
  const alerts = async () =>
    (await database.read.selectFrom('alert').select(['kind', 'subject', 'state', 'count']).execute()).map(
      ({ kind, subject, state, count }) => `${kind} ${subject} ${state} ${count}`,
    );
  await seen(CLAIM_MS + 1_000);
  await watch.weighSilence();
  assert.deepEqual(await alerts(), []);
  await seen(61_000);
  await watch.weighSilence();
  await watch.weighSilence();
  assert.deepEqual(await alerts(), ['node-silent node:two open 1']);
  await watch.look();
  const text = await registry.metrics();
  assert.match(text, /edgekeep_node_up\{node="two",version="1"\} 0/);
  assert.match(text, /edgekeep_node_up\{node="one",version="[^"]+"\} 1/);
  await seen(0);
  await watch.weighSilence();
  assert.deepEqual(await alerts(), ['node-silent node:two closed 1']);
  await rm(folder, { recursive: true });
});

test('a node that was removed, or that another process has replaced, ends', async () => {
  for (const change of [{ removed_at: 1 }, { claim: 'another' }]) {
    await using store = await openTestStore();
    const { database } = store;
    const folder = await sealedFolder({ 'log-key.pem': 'a' });
    const claim = await claimNode(database, { folder, file: newNode('one'), addresses: '', clock });
    const watch = new NodeWatch({ database, claim, clock, settings, keys });
    await watch.look();
    await database.writeAsHub((trx) => trx.updateTable('node').set(change).execute());
    await watch.look();
    assert.equal((await watch.ended).code, 'node-ended');
    await rm(folder, { recursive: true });
  }
});

test('a roll-over waits for a node that does not use the newest keys yet', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const folder = await sealedFolder({ 'log-key.pem': 'a' });
  const claim = await claimNode(database, { folder, file: newNode('one'), addresses: '', clock });
  const watch = new NodeWatch({ database, claim, clock, settings, keys: { ...keys, version: 3 } });
  await assert.rejects(watch.assertKeysUsed(signal, 0), { code: 'conflict' });
  await database.writeAsHub((trx) => trx.updateTable('node').set({ keys_version: 3 }).execute());
  await watch.assertKeysUsed(signal, 0);
  await rm(folder, { recursive: true });
});
