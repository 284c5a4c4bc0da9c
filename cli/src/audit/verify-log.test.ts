import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testLogSigner } from '@edgekeep/core/access/testing-receipt';
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { verifierKey } from '@edgekeep/core/audit/note';
import { testLogFiles } from '@edgekeep/core/audit/testing-log';
import type { LogSource } from './log-source.ts';
import { type VerifyLogOptions, verifyLog } from './verify-log.ts';

const key = verifierKey(testLogSigner.name, testLogSigner.signer.publicKey, 'ed25519');
const entries = (size: number) => Array.from({ length: size }, (_, at) => Buffer.from(`entry ${at}`));
const whole: VerifyLogOptions = { hashesOnly: false, progress: () => undefined };

test('a log of any size verifies from its files', async () => {
  for (const size of [0, 1, 2, 255, 256, 257, 1000, 66_000]) {
    const verdict = await verify(await testLogFiles(entries(size), testLogSigner));
    assert.equal(verdict.kind, 'verified', `${size} entries`);
  }
});

test('a full tile replaces a partial one that is gone', async () => {
  const larger = await testLogFiles(entries(600), testLogSigner);
  const smaller = await testLogFiles(entries(500), testLogSigner);
  for (const path of [...smaller.keys()].filter((name) => name.includes('/001.p/'))) smaller.delete(path);
  for (const path of ['tile/0/001', 'tile/entries/001']) smaller.set(path, larger.get(path) ?? assert.fail());
  assert.equal((await verify(smaller)).kind, 'verified');
});

test('any missing, changed, shortened or lengthened file is found and named', async () => {
  const files = await testLogFiles(entries(700), testLogSigner);
  for (const path of [...files.keys()].filter((name) => name !== 'checkpoint')) {
    const bytes = files.get(path) ?? assert.fail();
    const changed = Uint8Array.from(bytes);
    changed[bytes.length - 1] = (changed[bytes.length - 1] ?? 0) ^ 1;
    const damages = {
      missing: undefined,
      changed,
      shorter: bytes.subarray(1),
      longer: Buffer.concat([bytes, Buffer.of(0)]),
    };
    for (const [name, damaged] of Object.entries(damages)) {
      const copy = new Map(files);
      if (damaged === undefined) copy.delete(path);
      else copy.set(path, damaged);
      const verdict = await verify(copy);
      assert.equal(verdict.kind, 'refused', `${path} ${name}`);
    }
  }
});

test('a log whose tiles agree with one another but not with the signed root is refused', async () => {
  const forged = await testLogFiles([...entries(299), Buffer.from('forged')], testLogSigner);
  const files = await testLogFiles(entries(300), testLogSigner);
  forged.set('checkpoint', files.get('checkpoint') ?? assert.fail());
  const verdict = await verify(forged);
  assert.equal(verdict.kind, 'refused');
});

test('without entries the tiles alone lead to the root', async () => {
  const files = await testLogFiles(entries(700), testLogSigner);
  for (const path of files.keys()) if (path.startsWith('tile/entries')) files.delete(path);
  assert.equal((await verify(files)).kind, 'refused');
  assert.equal((await verify(files, { ...whole, hashesOnly: true })).kind, 'verified');
});

async function verify(files: ReadonlyMap<string, Uint8Array>, options = whole) {
  const source: LogSource = { atOnce: 2, read: async (path) => files.get(path) };
  const opened = openCheckpoint(files.get('checkpoint') ?? assert.fail(), key);
  return opened.kind === 'verified' ? verifyLog(source, opened.checkpoint, options) : assert.fail();
}
