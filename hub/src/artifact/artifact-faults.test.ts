// Failures of the place of sealed files become alerts: one for the bucket, which a probe settles, and one for each file.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listAlerts } from '../alert/alert-list.ts';
import { HubError } from '../common/error.ts';
import { openTestStore } from '../store/testing-store.ts';
import { openArtifacts } from './open.ts';
import { TestBucket } from './testing-bucket.ts';

const sha256 = 'ab'.repeat(32);

test('a bucket that fails is an alert until a probe works again, and a lost file is one of its own', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const bucket = new TestBucket();
  let nowMs = 1_000_000;
  const opening = async () => ({ bucket, [Symbol.dispose]: () => undefined });
  const { jobs = [], shared } = await openArtifacts(database, store.folder, () => nowMs, opening);
  const probe = jobs.find(({ name }) => name === 'artifact-probe') ?? assert.fail();
  const kinds = async () =>
    (await listAlerts(database.read, { state: 'standing', limit: 10 })).alerts.map(
      ({ kind, count }) => `${kind} ${count}`,
    );
  /** Alerts are written after the request that met the failure was answered. */
  const until = async (expected: readonly string[]) => {
    while ((await kinds()).toSorted().join() !== expected.join()) await new Promise((resolve) => setImmediate(resolve));
  };
  const run = () => probe.run(new AbortController().signal);
  await run();
  assert.deepEqual(await kinds(), []);
  assert.equal(bucket.objects.size, 0);
  bucket.before = () => {
    throw new HubError('artifacts-refused', '403 AccessDenied');
  };
  await run();
  await until(['artifacts-unreachable 1']);
  shared?.onFault(new HubError('artifact-lost', 'gone'), sha256);
  await until(['artifact-lost 1', 'artifacts-unreachable 1']);
  // A fleet that meets it many times a second writes nothing more.
  for (let at = 0; at < 100; at += 1) shared?.onFault(new HubError('artifact-lost', 'gone'), sha256);
  shared?.onFault(new HubError('artifacts-busy', 'many'));
  shared?.onFault(new Error('a mistake of ours'));
  bucket.before = () => undefined;
  nowMs += 300_000;
  await run();
  await until(['artifact-lost 1']);
});

test('a bucket that gives other bytes than it took, or lists nothing, fails its probe', async () => {
  await using store = await openTestStore();
  const bucket = new TestBucket();
  const opening = async () => ({ bucket, [Symbol.dispose]: () => undefined });
  const { jobs = [] } = await openArtifacts(store.database, store.folder, () => 1_000_000, opening);
  const probe = jobs.find(({ name }) => name === 'artifact-probe') ?? assert.fail();
  bucket.before = (operation, key) => {
    if (operation === 'get') bucket.objects.set(key, Buffer.alloc(64));
  };
  await probe.run(new AbortController().signal);
  for (;;) {
    const { alerts } = await listAlerts(store.database.read, { state: 'standing', limit: 10 });
    const [alert] = alerts;
    if (alert === undefined) await new Promise((resolve) => setImmediate(resolve));
    else {
      assert.equal(alert.kind, 'artifacts-unreachable');
      assert.match(alert.title, /other bytes/);
      break;
    }
  }
});
