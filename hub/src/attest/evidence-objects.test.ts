// Evidence in a bucket that all nodes share: read back at another node, removed when nobody names it, and never while a node is about to.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask, nowMs, openReleaseHub } from '../access/testing-release.ts';
import { TestBucket } from '../artifact/testing-bucket.ts';
import { HubError } from '../common/error.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { EvidenceObjects } from './evidence-objects.ts';
import { evidenceRetention, evidenceUse } from './evidence-retention.ts';
import { contentOf } from './evidence-store.ts';
import { EvidenceKeeper } from './kept-evidence.ts';
import { RootKeys } from './root-keys.ts';

const dayMs = 86_400_000;

async function openScene() {
  const bucket = new TestBucket();
  const time = { nowMs };
  bucket.clock = () => time.nowMs;
  const faults: string[] = [];
  const node = () =>
    new EvidenceObjects(
      bucket,
      () => time.nowMs,
      (error) => {
        if (error instanceof HubError) faults.push(error.code);
      },
    );
  const hub = await openReleaseHub({ lease: { enforcedBy: 'agent', maxPerWindow: 1_000 } }, node());
  const { database } = hub;
  const settings = { keepDays: 3_650, maxMebibytes: 10_240 };
  return {
    hub,
    bucket,
    time,
    faults,
    node,
    sweep: (keepDays = settings.keepDays) =>
      evidenceRetention({ database, files: node(), settings: { ...settings, keepDays }, clock: () => time.nowMs }).run(
        new AbortController().signal,
      ),
    [Symbol.asyncDispose]: () => hub[Symbol.asyncDispose](),
  };
}

test('evidence that one node kept is read at another, and damage to its object is seen', async () => {
  await using scene = await openScene();
  const { hub, bucket } = scene;
  const { lease } = await ask(hub);
  assert.equal(bucket.objects.size, 2);
  const other = new EvidenceKeeper(hub.database, scene.node(), new RootKeys());
  assert.equal((await other.of(lease.id)).evidence.kind, 'tpm');
  const [key = ''] = bucket.objects.keys();
  bucket.objects.set(key, Buffer.from('other'));
  assert.equal(await refusalOf(other.of(lease.id)), 'evidence-not-kept');
});

test('a boot is written once for many releases, and again after a while, so that its age says that nobody needs it', async () => {
  await using scene = await openScene();
  const { hub, bucket, time } = scene;
  let written = 0;
  bucket.before = (operation) => {
    if (operation === 'put') written += 1;
  };
  await ask(hub);
  await ask(hub);
  assert.equal(written, 2);
  time.nowMs += 660_000;
  await ask(hub);
  assert.equal(written, 4);
});

test('a bucket that takes nothing releases no key, and says so', async () => {
  await using scene = await openScene();
  scene.bucket.before = () => {
    throw new HubError('artifacts-unreachable', 'https://s3.example/models/: down');
  };
  await assert.rejects(ask(scene.hub), ({ code, message }: HubError) => {
    assert.equal(code, 'artifacts-unreachable');
    return !message.includes('s3.example');
  });
  assert.deepEqual(scene.faults, ['artifacts-unreachable']);
});

test('what no receipt needs goes a day later, and objects of others stay', async () => {
  await using scene = await openScene();
  const { hub, bucket, time } = scene;
  await ask(hub);
  const foreign = `evidence/ab/${'ab'.repeat(31)}`;
  bucket.objects.set(foreign, Buffer.from('x'));
  time.nowMs += 2 * dayMs;
  await scene.sweep();
  assert.equal(bucket.objects.size, 3);
  await scene.sweep(1);
  assert.deepEqual([...bucket.objects.keys()], [foreign]);
  assert.deepEqual(await evidenceUse(hub.database.read), { bytes: 0, receipts: 0 });
  await scene.sweep(1);
  assert.deepEqual(await hub.database.read.selectFrom('evidence_content').selectAll().execute(), []);
});

test('an object that a release wrote a moment ago stays, although no row names it yet', async () => {
  await using scene = await openScene();
  const { bucket } = scene;
  const { sha256 } = await scene.node().put(contentOf(Buffer.from('a log')));
  await scene.sweep();
  assert.equal(bucket.objects.size, 1);
  assert.ok([...bucket.objects.keys()][0]?.endsWith(sha256));
});

// SECURITY.md: HUB-156
test('a release that would rest on an object that another node is removing is asked to come back, and then writes it anew', async () => {
  await using scene = await openScene();
  const { hub, bucket, time } = scene;
  await ask(hub);
  time.nowMs += 2 * dayMs;
  const removing = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  bucket.before = async (operation) => {
    if (operation !== 'delete') return;
    removing.resolve();
    await go.promise;
  };
  const sweeping = scene.sweep(1);
  await removing.promise;
  assert.equal(await refusalOf(ask(hub)), 'artifacts-busy');
  go.resolve();
  await sweeping;
  // It wrote the content before that was gone.
  assert.equal(await refusalOf(ask(hub)), 'artifacts-busy');
  const { lease } = await ask(hub);
  assert.equal(
    (await new EvidenceKeeper(hub.database, scene.node(), new RootKeys()).of(lease.id)).evidence.kind,
    'tpm',
  );
});
