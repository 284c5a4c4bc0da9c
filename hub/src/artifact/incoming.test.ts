import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { ArtifactFolder } from './artifact-folder.ts';

async function openBlobs() {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-artifacts-'));
  const incoming = async () => readdir(join(folder, 'incoming'));
  return {
    artifacts: new ArtifactFolder(folder),
    folder,
    incoming,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

const digest = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Sends bytes, then breaks off. */
function broken(bytes: Uint8Array): Readable {
  return Readable.from(
    (async function* chunks() {
      yield bytes;
      throw new Error('connection lost');
    })(),
  );
}

const content = randomBytes(300_000);
const name = 'press-plan 1.0.0 w.bin';

test('an upload that broke off goes on behind what came, and ends as if it had come at once', async () => {
  await using opened = await openBlobs();
  const { artifacts, incoming } = opened;
  await assert.rejects(artifacts.put(broken(content.subarray(0, 200_000)), 1_000_000, { name, beginning: undefined }));
  assert.equal(await artifacts.offsetOf(name), 200_000);
  // The sender continues at an offset of its own, below that.
  const beginning = { offset: 150_000, sha256: digest(content.subarray(0, 150_000)) };
  const stored = await artifacts.put(Readable.from([content.subarray(150_000)]), 1_000_000, { name, beginning });
  assert.deepEqual(stored, { sha256: digest(content), size: content.length });
  assert.deepEqual(await buffer(await artifacts.open(stored.sha256, 0, content.length - 1)), content);
  assert.deepEqual(await incoming(), []);
});

test('a beginning that the hub does not have is refused: other bytes, and more than came', async () => {
  await using opened = await openBlobs();
  const { artifacts } = opened;
  await assert.rejects(artifacts.put(broken(content.subarray(0, 200_000)), 1_000_000, { name, beginning: undefined }));
  for (const beginning of [
    { offset: 200_001, sha256: digest(content.subarray(0, 200_001)) },
    { offset: 100_000, sha256: digest(content.subarray(1, 100_001)) },
  ])
    await assert.rejects(artifacts.put(Readable.from([content]), 1_000_000, { name, beginning }), {
      code: 'upload-differs',
    });
});

test('the limit of a file counts what came before as well', async () => {
  await using opened = await openBlobs();
  const { artifacts } = opened;
  await assert.rejects(artifacts.put(broken(content.subarray(0, 200_000)), 250_000, { name, beginning: undefined }));
  const beginning = { offset: 200_000, sha256: digest(content.subarray(0, 200_000)) };
  const rest = Readable.from([content.subarray(200_000)]);
  await assert.rejects(artifacts.put(rest, 250_000, { name, beginning }), { code: 'payload-too-large' });
});

test('a sender that comes back ends its dead connection', async () => {
  await using opened = await openBlobs();
  const { artifacts } = opened;
  const silent = new PassThrough();
  silent.write(content.subarray(0, 100_000));
  const first = assert.rejects(artifacts.put(silent, 1_000_000, { name, beginning: undefined }), {
    name: 'AbortError',
  });
  while ((await artifacts.offsetOf(name)) < 100_000) await new Promise((resolve) => setImmediate(resolve));
  const stored = await artifacts.put(Readable.from([content]), 1_000_000, { name, beginning: undefined });
  await first;
  assert.equal(stored.sha256, digest(content));
});

test('what nobody went on with is gone after a week', async () => {
  await using opened = await openBlobs();
  const { artifacts, folder, incoming } = opened;
  await assert.rejects(artifacts.put(broken(content), 1_000_000, { name, beginning: undefined }));
  const [left = ''] = await incoming();
  const weeksAgo = Date.now() / 1_000 - 8 * 86_400;
  await utimes(join(folder, 'incoming', left), weeksAgo, weeksAgo);
  await artifacts.put(Readable.from([content]), 1_000_000, { name: 'another', beginning: undefined });
  assert.deepEqual(await incoming(), []);
});
