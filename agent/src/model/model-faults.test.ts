import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ModelFaults } from './model-faults.ts';

const release = { version: '1.0.0', digestHex: 'aa'.repeat(32) };
const next = { version: '1.0.1', digestHex: 'bb'.repeat(32) };
const unsupported = { code: 'model-unsupported', place: 'guard', message: 'no operator Foo' } as const;
const names = ['surface'];
let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-faults-'));
  path = join(folder, 'model-faults.json');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test('a release that its guard refuses is not tried again, also after a restart; another release is', async () => {
  await (await ModelFaults.open(path, names)).note('surface', release, unsupported);
  const again = await ModelFaults.open(path, names);
  assert.equal(again.standing('surface', release.digestHex)?.code, 'model-unsupported');
  assert.equal(again.standing('surface', next.digestHex), undefined);
});

test('an operator’s word is obeyed once, and an older one not at all', async () => {
  const faults = await ModelFaults.open(path, names);
  await faults.note('surface', release, unsupported);
  assert.equal(await faults.retry('surface', 2), true);
  assert.equal(faults.standing('surface', release.digestHex), undefined);
  await faults.note('surface', release, unsupported);
  const again = await ModelFaults.open(path, names);
  assert.deepEqual([await again.retry('surface', 2), await again.retry('surface', 1)], [false, false]);
  assert.notEqual(again.standing('surface', release.digestHex), undefined);
  assert.equal(again.retried('surface'), 2);
});

test('attempts count in a row, of one release with one cause, across restarts', async () => {
  const ended = { code: 'guard-ended', place: 'guard', message: 'killed' } as const;
  const first = await ModelFaults.open(path, names);
  assert.deepEqual([(await first.note('surface', release, ended)).attempts, first.of('surface')?.final], [1, false]);
  const second = await ModelFaults.open(path, names);
  assert.equal((await second.note('surface', release, ended)).attempts, 2);
  assert.equal((await second.note('surface', release, ended)).final, true);
  assert.equal((await second.note('surface', next, ended)).attempts, 1);
});

test('a file that is broken, or about models that are not run here, counts as none', async () => {
  await writeFile(path, '{"surface":');
  assert.equal((await ModelFaults.open(path, names)).of('surface'), null);
  await (await ModelFaults.open(path, names)).note('surface', release, unsupported);
  assert.equal((await ModelFaults.open(path, ['other'])).of('surface'), null);
});
