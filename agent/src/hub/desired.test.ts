import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DesiredStore } from './desired.ts';

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-desired-'));
});
after(() => rm(folder, { recursive: true }));

test('what was taken is there for the next start', async () => {
  const path = join(folder, 'desired.json');
  const store = await DesiredStore.open(path);
  assert.deepEqual(store.present, { version: 0, attributes: {} });
  await store.take({ version: 4, attributes: { threshold: 0.8 } });
  assert.deepEqual((await DesiredStore.open(path)).present, { version: 4, attributes: { threshold: 0.8 } });
});

test('an answer without a document of attributes is refused, and the one before is kept', async () => {
  const store = await DesiredStore.open(join(folder, 'refused.json'));
  await store.take({ version: 1, attributes: { kept: true } });
  const nested = { a: { a: { a: { a: { a: { a: { a: 1 } } } } } } };
  const wrong = [
    undefined,
    { version: -1, attributes: {} },
    { version: 2 },
    { version: 2, attributes: { 'no key': 1 } },
    { version: 2, attributes: nested },
    { version: 2, attributes: { long: 'x'.repeat(20_000) } },
    { version: 2, attributes: {}, more: 1 },
  ];
  for (const answer of wrong) await assert.rejects(store.take(answer), { code: 'hub-answer-invalid' });
  assert.equal(store.present.version, 1);
});

test('a file that is not ours counts as none', async () => {
  const path = join(folder, 'broken.json');
  await writeFile(path, '{"version":3');
  assert.equal((await DesiredStore.open(path)).present.version, 0);
});

test('wishes that the disk does not give are an error, not none', async () => {
  const path = join(folder, 'folder.json');
  await mkdir(path);
  await assert.rejects(DesiredStore.open(path), { code: 'EISDIR' });
});
