import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { leafHash, verifyConsistency } from '@edgekeep/core/audit/merkle';
import { verifyTlogProof } from '@edgekeep/core/audit/proof';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { signerFromKey } from '@edgekeep/core/signer';
import { altered, ed25519Key, hashAt, logSigner, opened, world } from './testing-log.ts';
import { AuditLog } from './log.ts';

const noWitnesses = witnessPolicy([], 0);
let scratch = '';
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'edgekeep-log-'));
});
const worldAt = (name: string) => world(join(scratch, name));
after(() => rm(scratch, { recursive: true, force: true }));

test('every entry is proven under the latest checkpoint and under every earlier one that holds it', async () => {
  const { store, dependencies } = worldAt('proofs');
  await using log = await AuditLog.open(dependencies);
  const checkpoints: Uint8Array[] = [];
  for (const size of [1, 3, 256, 257, 600]) {
    store.grow(size);
    await log.integrated(size - 1);
    checkpoints.push(log.checkpoint());
  }
  for (const checkpoint of checkpoints) {
    const { size } = opened(checkpoint, log);
    for (const index of [0, size >> 1, size - 1]) {
      const verdict = verifyTlogProof(await log.proofFor(index, checkpoint), hashAt(index), log.key, noWitnesses);
      assert.equal(verdict.kind, 'verified', `entry ${index} of ${size}`);
    }
  }
});

test('two checkpoints of the log are consistent, and the proof from nothing is empty', async () => {
  const { store, dependencies } = worldAt('consistency');
  await using log = await AuditLog.open(dependencies);
  store.grow(300);
  await log.integrated(299);
  const old = opened(log.checkpoint(), log);
  store.grow(1000);
  await log.integrated(999);
  const head = opened(log.checkpoint(), log);
  const proof = await log.consistency(old.size);
  const claim = { from: old.size, fromRoot: old.root, to: head.size, toRoot: head.root, proof };
  assert.ok(verifyConsistency(claim));
  assert.deepEqual(await log.consistency(0), []);
  await assert.rejects(log.consistency(5, 1001), { code: 'not-found' });
  await assert.rejects(log.proofFor(1000), { code: 'not-found' });
});

test('a log of 70,000 entries has the tiles that tlog-tiles names in its example', async () => {
  const { store, dependencies } = worldAt('example');
  store.grow(70_000);
  await using log = await AuditLog.open(dependencies);
  assert.equal(log.size, 70_000);
  const level0 = await readdir(join(dependencies.folder, 'tile/0'));
  assert.equal(level0.filter((name) => /^[0-9]{3}$/.test(name)).length, 273);
  assert.ok((await readdir(join(dependencies.folder, 'tile/0/273.p'))).includes('112'));
  assert.deepEqual((await readdir(join(dependencies.folder, 'tile/1'))).toSorted(), ['000', '001.p']);
  assert.ok((await readdir(join(dependencies.folder, 'tile/1/001.p'))).includes('17'));
  assert.ok((await readdir(join(dependencies.folder, 'tile/2/000.p'))).includes('1'));
});

test('partial tiles go once the full tile is published', async () => {
  const { store, dependencies } = worldAt('partials');
  await using log = await AuditLog.open(dependencies);
  for (const size of [10, 200, 300]) {
    store.grow(size);
    await log.integrated(size - 1);
  }
  await log.publishCosigned(log.checkpoint());
  assert.deepEqual((await readdir(join(dependencies.folder, 'tile/0'))).toSorted(), ['000', '001.p']);
  assert.deepEqual((await readdir(join(dependencies.folder, 'tile/entries'))).toSorted(), ['000', '001.p']);
});

test('a reopened log goes on where it stopped, with the same checkpoint', async () => {
  const { store, dependencies } = worldAt('reopened');
  store.grow(500);
  {
    await using log = await AuditLog.open(dependencies);
    assert.equal(log.size, 500);
  }
  const published = await readFile(join(dependencies.folder, 'checkpoint'));
  await using again = await AuditLog.open(dependencies);
  assert.deepEqual(Buffer.from(again.checkpoint()), published);
  store.grow(700);
  await again.integrated(699);
  assert.equal(again.size, 700);
});

// SECURITY.md: HUB-32
test('a log that was cut off between its first own checkpoint and publishing it opens: the published one is of the log before', async () => {
  const { store, dependencies } = worldAt('handed-over');
  store.grow(6);
  const former = await AuditLog.open(dependencies);
  const note = former.checkpoint();
  const next = { name: 'log.example/next', signer: signerFromKey(ed25519Key(2)) };
  await former[Symbol.asyncDispose]();
  const handOver = { ...opened(note, former), note, next };
  const ended = await AuditLog.open({ ...dependencies, handOver });
  store.grow(9);
  await ended.integrated(8);
  await ended[Symbol.asyncDispose]();
  const published = join(dependencies.folder, 'checkpoint');
  await writeFile(published, note);
  await using log = await AuditLog.open({ ...dependencies, signer: next, former: [former.key] });
  assert.equal(opened(log.checkpoint(), log).size, 9);
  assert.deepEqual(await readFile(published), Buffer.from(log.checkpoint()));
});

test('an empty log has a checkpoint of the empty tree', async () => {
  const { dependencies } = worldAt('empty');
  await using log = await AuditLog.open(dependencies);
  assert.equal(opened(log.checkpoint(), log).size, 0);
});

test('a log whose history was rewritten does not open', async (t) => {
  const { store, dependencies } = worldAt('rewritten');
  store.grow(600);
  {
    await using log = await AuditLog.open(dependencies);
    assert.equal(log.size, 600);
  }
  const refuses = (altered: Partial<typeof dependencies>) =>
    assert.rejects(AuditLog.open({ ...dependencies, ...altered }), { code: 'log-rewritten' });

  await t.test('an entry changed', () => refuses({ source: altered(store, 17, { entry: Buffer.from('other') }) }));
  await t.test('an entry and its stored hash changed', () => {
    const entry = Buffer.from('other');
    return refuses({ source: altered(store, 590, { entry, leafHash: leafHash(entry) }) });
  });
  await t.test('the same, with the tiles removed', async () => {
    const folder = join(scratch, 'rewritten-no-tiles');
    await cp(dependencies.folder, folder, { recursive: true });
    await rm(join(folder, 'tile'), { recursive: true });
    const entry = Buffer.from('other');
    return refuses({ folder, source: altered(store, 590, { entry, leafHash: leafHash(entry) }) });
  });
  await t.test('the last entries cut off', () =>
    refuses({ source: { size: async () => 599, read: (from, to) => store.read(from, to) } }),
  );
  await t.test('the store rolled back to before its last checkpoint', () =>
    refuses({ checkpoints: { latest: async () => undefined, save: async (note) => note } }),
  );
  await t.test('the checkpoint signed by another key', () =>
    refuses({ signer: { ...logSigner, signer: signerFromKey(ed25519Key(2)) } }),
  );
  await t.test('a published full tile altered', async () => {
    const folder = join(scratch, 'rewritten-tile');
    await cp(dependencies.folder, folder, { recursive: true });
    await writeFile(join(folder, 'tile/0/000'), Buffer.alloc(8192, 1));
    return refuses({ folder });
  });
  await t.test('but a full tile that a loss of power emptied is written again', async () => {
    const folder = join(scratch, 'emptied-tile');
    const whole = await readFile(join(dependencies.folder, 'tile/0/000'));
    for (const blank of [Buffer.alloc(0), Buffer.alloc(whole.length)]) {
      await cp(dependencies.folder, folder, { recursive: true });
      await writeFile(join(folder, 'tile/0/000'), blank);
      await using log = await AuditLog.open({ ...dependencies, folder });
      assert.equal(log.size, 600);
      assert.deepEqual(await readFile(join(folder, 'tile/0/000')), whole);
    }
  });
});
