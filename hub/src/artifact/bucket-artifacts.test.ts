// Sealed files in a bucket: parts, ranges, uploads that go on at another node, and an owner of the bucket who changes what is in it.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, test } from 'node:test';
import { HubError } from '../common/error.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { openTestStore, type TestStore } from '../store/testing-store.ts';
import { BucketArtifacts } from './bucket-artifacts.ts';
import { artifactCleanUp } from './clean-up.ts';
import { BLOCK_BYTES, PART_BYTES } from './part-hash.ts';
import { TestBucket } from './testing-bucket.ts';

const dayMs = 86_400_000;
const maxSize = 100_000_000;
const name = 'press-plan 1.0.0 w.bin';
// Two whole parts and a piece of a third, of which no length is a round number.
const content = randomBytes(2 * PART_BYTES + BLOCK_BYTES + 1_234);
let store: TestStore;
let bucket: TestBucket;
let nowMs: number;
let faults: string[];

beforeEach(async () => {
  store = await openTestStore();
  bucket = new TestBucket();
  nowMs = 1_000_000;
  faults = [];
});
afterEach(() => store[Symbol.asyncDispose]());

/** What one node of a hub has: nothing of it survives the node. */
function node(): BucketArtifacts {
  const { database } = store;
  return new BucketArtifacts({ database, bucket, clock: () => nowMs }, (error) => {
    if (error instanceof HubError) faults.push(error.code);
  });
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const chunked = (bytes: Uint8Array, length = 65_536) =>
  Array.from({ length: Math.ceil(bytes.length / length) }, (_, at) => bytes.subarray(at * length, (at + 1) * length));
const sent = (bytes: Uint8Array) => Readable.from(chunked(bytes));
const read = async (from: BucketArtifacts, sha256: string, start: number, end: number) =>
  buffer(await from.open(sha256, start, end));

/** Sends bytes, then breaks off. */
function broken(bytes: Uint8Array): Readable {
  return Readable.from(
    (async function* chunks() {
      yield* chunked(bytes);
      throw new Error('connection lost');
    })(),
  );
}

async function cleanUp(): Promise<void> {
  const job = artifactCleanUp({ database: store.database, bucket, clock: () => nowMs });
  await job.run(new AbortController().signal);
}

test('a file is stored as parts, and every range of it is read back', async () => {
  const stored = await node().put(sent(content), maxSize);
  assert.deepEqual(stored, { sha256: digest(content), size: content.length });
  assert.equal(bucket.objects.size, 3);
  const last = content.length - 1;
  for (const [start, end] of [
    [0, last],
    [0, 0],
    [last, last],
    [PART_BYTES - 1, PART_BYTES],
    [BLOCK_BYTES - 1, BLOCK_BYTES],
    [PART_BYTES, 2 * PART_BYTES - 1],
    [12_345, 2 * PART_BYTES + 77],
  ] as const)
    assert.ok(
      (await read(node(), stored.sha256, start, end)).equals(content.subarray(start, end + 1)),
      `${start}-${end}`,
    );
  assert.equal(await node().has(stored.sha256, content.length), true);
  assert.equal(await node().has(stored.sha256, content.length - 1), false);
});

test('a small range of a large file asks the bucket for a small range', async () => {
  const { sha256 } = await node().put(sent(content), maxSize);
  await read(node(), sha256, PART_BYTES + 10, PART_BYTES + 20);
  assert.deepEqual(bucket.ranges, [{ start: 0, end: BLOCK_BYTES - 1 }]);
});

test('an empty file, and one that ends with a part', async () => {
  const none = await node().put(Readable.from([]), maxSize);
  assert.deepEqual(none, { sha256: digest(new Uint8Array(0)), size: 0 });
  const whole = content.subarray(0, PART_BYTES);
  const { sha256 } = await node().put(sent(whole), maxSize);
  assert.ok((await read(node(), sha256, 0, PART_BYTES - 1)).equals(whole));
});

test('an upload that broke off goes on at another node behind what came, at any byte that the sender chooses', async () => {
  const came = PART_BYTES + 300_000;
  for (const offset of [came, PART_BYTES, PART_BYTES + 1, 4_711, PART_BYTES - 1]) {
    await assert.rejects(node().put(broken(content.subarray(0, came)), maxSize, { name, beginning: undefined }));
    assert.equal(await node().offsetOf(name), came);
    const beginning = { offset, sha256: digest(content.subarray(0, offset)) };
    const stored = await node().put(sent(content.subarray(offset)), maxSize, { name, beginning });
    assert.deepEqual(stored, { sha256: digest(content), size: content.length }, `from ${offset}`);
    assert.ok((await read(node(), stored.sha256, 0, content.length - 1)).equals(content), `from ${offset}`);
    assert.equal(await node().offsetOf(name), 0);
  }
});

test('an upload that breaks many times keeps what came each time', async () => {
  let offset = 0;
  for (const until of [10, 65_536, 70_000, PART_BYTES + 5, PART_BYTES + 6]) {
    const beginning = offset === 0 ? undefined : { offset, sha256: digest(content.subarray(0, offset)) };
    await assert.rejects(node().put(broken(content.subarray(offset, until)), maxSize, { name, beginning }));
    offset = await node().offsetOf(name);
    assert.equal(offset, until);
  }
  const beginning = { offset, sha256: digest(content.subarray(0, offset)) };
  const stored = await node().put(sent(content.subarray(offset)), maxSize, { name, beginning });
  assert.equal(stored.sha256, digest(content));
  // The short parts that longer ones took the place of are gone.
  assert.equal(bucket.objects.size, 3);
});

test('a beginning that the bucket does not have is refused: other bytes, more than came, and a part that was changed', async () => {
  const came = content.subarray(0, PART_BYTES + 9);
  await assert.rejects(node().put(broken(came), maxSize, { name, beginning: undefined }));
  const at = (offset: number, bytes = content.subarray(0, offset)) => ({ offset, sha256: digest(bytes) });
  const refused = async (beginning: { offset: number; sha256: string }) =>
    refusalOf(node().put(sent(content), maxSize, { name, beginning }));
  assert.equal(await refused(at(came.length + 1)), 'upload-differs');
  assert.equal(await refused(at(100, content.subarray(1, 101))), 'upload-differs');
  const [key = ''] = bucket.objects.keys();
  bucket.objects.set(key, randomBytes(PART_BYTES));
  assert.equal(await refused(at(came.length)), 'upload-differs');
  bucket.objects.delete(key);
  assert.equal(await refused(at(came.length)), 'upload-differs');
});

test('a sender that comes back at another node fences off the request that still runs at the first', async () => {
  const silent = new PassThrough();
  const first = refusalOf(node().put(silent, maxSize, { name, beginning: undefined }));
  silent.write(content.subarray(0, PART_BYTES));
  const other = node();
  while ((await other.offsetOf(name)) < PART_BYTES) await new Promise((resolve) => setImmediate(resolve));
  const beginning = { offset: 1_000, sha256: digest(content.subarray(0, 1_000)) };
  const stored = await other.put(sent(content.subarray(1_000)), maxSize, { name, beginning });
  // What it adds now belongs to nothing.
  silent.end(randomBytes(PART_BYTES));
  assert.equal(await first, 'conflict');
  assert.ok((await read(other, stored.sha256, 0, content.length - 1)).equals(content));
});

test('the limit of a file counts what came before as well', async () => {
  await assert.rejects(node().put(broken(content.subarray(0, 200_000)), 250_000, { name, beginning: undefined }));
  const beginning = { offset: 200_000, sha256: digest(content.subarray(0, 200_000)) };
  const refusal = await refusalOf(node().put(sent(content.subarray(200_000)), 250_000, { name, beginning }));
  assert.equal(refusal, 'payload-too-large');
});

test('a part that the bucket did not take is not counted as come', async () => {
  bucket.before = (operation) => {
    if (operation === 'put' && bucket.objects.size === 1) throw new HubError('artifacts-unreachable', 'down');
  };
  const refusal = await refusalOf(node().put(sent(content), maxSize, { name, beginning: undefined }));
  assert.equal(refusal, 'artifacts-unreachable');
  assert.equal(await node().offsetOf(name), PART_BYTES);
  assert.deepEqual(faults, ['artifacts-unreachable']);
});

// SECURITY.md: HUB-151
test("an object that the bucket's owner changed, cut short, swapped or removed is not served: not a byte of the changed piece", async () => {
  const { sha256 } = await node().put(sent(content), maxSize);
  const [key = '', second = ''] = bucket.objects.keys();
  const whole = bucket.objects.get(key) ?? new Uint8Array(0);
  const changed = Buffer.from(whole);
  changed.writeUInt8(changed.readUInt8(BLOCK_BYTES + 5) ^ 1, BLOCK_BYTES + 5);
  for (const bytes of [changed, whole.subarray(0, BLOCK_BYTES), bucket.objects.get(second), undefined]) {
    if (bytes === undefined) bucket.objects.delete(key);
    else bucket.objects.set(key, bytes);
    faults = [];
    const refusal = await refusalOf(node().open(sha256, 0, content.length - 1));
    assert.equal(refusal, 'artifact-lost');
    assert.deepEqual(faults, ['artifact-lost']);
  }
  // A range elsewhere is served still.
  assert.ok(
    (await read(node(), sha256, PART_BYTES, PART_BYTES + 9)).equals(content.subarray(PART_BYTES, PART_BYTES + 10)),
  );
});

// SECURITY.md: HUB-152
test("an older release's object in the place of a newer one's is not served", async () => {
  const older = await node().put(sent(content.subarray(0, 1_000_000)), maxSize);
  const [old = ''] = bucket.objects.keys();
  const newer = await node().put(sent(content.subarray(1_000_000, 2_000_000)), maxSize);
  const key = [...bucket.objects.keys()].find((each) => each !== old) ?? '';
  bucket.objects.set(key, bucket.objects.get(old) ?? new Uint8Array(0));
  assert.equal(await refusalOf(node().open(newer.sha256, 0, 10)), 'artifact-lost');
  assert.equal((await read(node(), older.sha256, 0, 10)).length, 11);
});

test('a failure after the first piece ends the stream with an error, in place of a file that looks whole', async () => {
  const { sha256 } = await node().put(sent(content), maxSize);
  const last = [...bucket.objects.keys()].find((key) => key.includes('/000002-')) ?? '';
  bucket.objects.delete(last);
  const stream = await node().open(sha256, 0, content.length - 1);
  await assert.rejects(buffer(stream), { code: 'artifact-lost' });
  assert.deepEqual(faults, ['artifact-lost']);
});

// SECURITY.md: HUB-155
test('a receiver that goes away ends its download, and one that reads slowly makes the hub read no further', async () => {
  const { sha256 } = await node().put(sent(content), maxSize);
  const reading = node();
  const stream = await reading.open(sha256, 0, content.length - 1);
  await new Promise((resolve) => stream.once('readable', resolve));
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(bucket.ranges.length <= 2, `${bucket.ranges.length} pieces for a receiver that took nothing`);
  assert.equal(reading.downloads, 1);
  stream.destroy();
  while (reading.downloads > 0) await new Promise((resolve) => setImmediate(resolve));
});

// SECURITY.md: HUB-155
test('more downloads than the memory of the hub is meant for are asked to come back', async () => {
  const { sha256 } = await node().put(sent(content.subarray(0, 10)), maxSize);
  const busy = node();
  const hold = Promise.withResolvers<void>();
  bucket.before = () => hold.promise;
  const waiting = Array.from({ length: 256 }, () => busy.open(sha256, 0, 9));
  await assert.rejects(busy.open(sha256, 0, 9), { code: 'artifacts-busy', retryAfterSeconds: 5 });
  hold.resolve();
  for (const stream of await Promise.all(waiting)) await buffer(stream);
  assert.equal(busy.downloads, 0);
});

test('what nobody went on with is gone after a week, and what was replaced after an hour', async () => {
  await assert.rejects(node().put(broken(content), maxSize, { name, beginning: undefined }));
  const kept = await node().put(sent(content.subarray(0, 5_000)), maxSize);
  const again = await node().put(sent(content.subarray(0, 5_000)), maxSize);
  assert.equal(again.sha256, kept.sha256);
  assert.equal(bucket.objects.size, 5);
  nowMs += 2 * 3_600_000;
  await cleanUp();
  assert.equal(bucket.objects.size, 4);
  nowMs += 8 * dayMs;
  await cleanUp();
  nowMs += 2 * 3_600_000;
  await cleanUp();
  assert.equal(bucket.objects.size, 1);
  assert.equal((await read(node(), kept.sha256, 0, 4_999)).length, 5_000);
});

test('a hub that dies after the object and before its row, or between the objects and the row of a file that goes, leaves nothing behind', async () => {
  const { database } = store;
  const dying = new BucketArtifacts({ database, bucket, clock: () => nowMs }, () => undefined);
  bucket.before = (operation) => {
    if (operation === 'put' && bucket.objects.size === 1) throw new Error('killed');
  };
  await assert.rejects(dying.put(sent(content), maxSize, { name, beginning: undefined }), /killed/);
  // The object of a part whose row was not written any more.
  const [first = ''] = bucket.objects.keys();
  const id = first.split('/')[1] ?? '';
  bucket.objects.set(`models/${id}/000001-${'a'.repeat(64)}`, content.subarray(0, 3));
  nowMs += 8 * dayMs;
  bucket.before = () => undefined;
  await cleanUp();
  nowMs += 2 * 3_600_000;
  bucket.before = (operation) => {
    if (operation === 'delete' && bucket.objects.size === 1) throw new Error('killed');
  };
  await assert.rejects(cleanUp(), /killed/);
  bucket.before = () => undefined;
  await cleanUp();
  assert.equal(bucket.objects.size, 0);
});

// SECURITY.md: HUB-153
test('a listing with foreign keys makes the hub remove nothing of others', async () => {
  const foreign = ['other/backup.tar', 'models/readme', `models/${'0'.repeat(32)}/000000-${'b'.repeat(64)}`];
  for (const key of foreign) bucket.objects.set(key, content.subarray(0, 3));
  const { sha256 } = await node().put(sent(content), maxSize);
  const id = [...bucket.objects.keys()].find((key) => !foreign.includes(key))?.split('/')[1] ?? '';
  bucket.objects.set(`models/${id}/notes.txt`, content.subarray(0, 3));
  await node().remove(sha256, nowMs + 1);
  nowMs += 2 * 3_600_000;
  // A server that lists what was not asked for.
  bucket.listsAll = true;
  await cleanUp();
  assert.deepEqual([...bucket.objects.keys()].toSorted(), [...foreign, `models/${id}/notes.txt`].toSorted());
});

test('a file that was removed is not found, and the list has the others', async () => {
  const first = await node().put(sent(content.subarray(0, 10)), maxSize);
  const second = await node().put(sent(content.subarray(0, 20)), maxSize);
  await node().remove(first.sha256, nowMs);
  assert.equal((await Array.fromAsync(node().list())).length, 2);
  await node().remove(first.sha256, nowMs + 1);
  const listed = await Array.fromAsync(node().list());
  assert.deepEqual(listed, [{ ...second, storedAtMs: nowMs }]);
  assert.equal(await refusalOf(node().open(first.sha256, 0, 9)), 'artifact-lost');
});
