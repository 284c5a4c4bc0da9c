// The highest version of each model that a device has served, over restarts.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { HighestVersions } from './versions.ts';

async function record() {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-versions-'));
  const path = join(folder, 'versions.json');
  return {
    path,
    open: () => HighestVersions.open(path),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

test('a device does not go back behind the highest version that it has served, by one patch or by a pre-release', async () => {
  await using file = await record();
  const versions = await file.open();
  await versions.remember('belt', '1.10.0');
  for (const older of ['1.9.9', '1.9.0', '0.99.0', '1.10.0-rc.1'])
    assert.throws(() => versions.assertNoRollback('belt', older), { code: 'model-rollback' }, older);
  for (const allowed of ['1.10.0', '1.10.1', '1.11.0-rc.1', '2.0.0']) versions.assertNoRollback('belt', allowed);
});

test('what was served is on the disk before it is served, and a restart does not forget it', async () => {
  await using file = await record();
  await (await file.open()).remember('belt', '2.0.0');
  assert.deepEqual(JSON.parse(await readFile(file.path, 'utf8')), { belt: '2.0.0' });
  const restarted = await file.open();
  assert.throws(() => restarted.assertNoRollback('belt', '1.9.0'), { code: 'model-rollback' });
  await assert.rejects(restarted.remember('belt', '1.9.0'), { code: 'model-rollback' });
  assert.deepEqual(JSON.parse(await readFile(file.path, 'utf8')), { belt: '2.0.0' });
});

test('a version that takes the place of an earlier one says so; the first one and the same one do not', async () => {
  await using file = await record();
  const versions = await file.open();
  assert.equal(await versions.remember('belt', '1.0.0'), false);
  assert.equal(await versions.remember('belt', '1.0.0'), false);
  assert.equal(await versions.remember('belt', '1.1.0'), true);
  assert.throws(() => versions.assertNoRollback('belt', '1.0.0'), { code: 'model-rollback' });
});

test('each model has its own highest version', async () => {
  await using file = await record();
  const versions = await file.open();
  await versions.remember('belt', '2.0.0');
  await versions.remember('press', '1.0.0');
  versions.assertNoRollback('press', '1.0.0');
  versions.assertNoRollback('oven', '0.1.0');
  assert.throws(() => versions.assertNoRollback('belt', '1.0.0'), { code: 'model-rollback' });
});

test('a record that is damaged is not taken for an empty one', async () => {
  await using file = await record();
  for (const text of ['', 'x', '{"belt":"2.0.0"', '{"belt":2}', '{"belt":"latest"}', '[]', '{"../belt":"2.0.0"}']) {
    await writeFile(file.path, text);
    await rm(`${file.path}.copy`, { force: true });
    const versions = await file.open();
    assert.throws(() => versions.assertNoRollback('belt', '9.0.0'), { code: 'state-lost' }, text);
    await assert.rejects(versions.remember('belt', '9.0.0'), { code: 'state-lost' }, text);
  }
});

test('an emptied record is put back from its second copy, and of two whole ones the higher versions count', async () => {
  await using file = await record();
  await (await file.open()).remember('belt', '2.0.0');
  for (const text of ['', '\0'.repeat(40), '{"belt":"1.0.0"}']) {
    await writeFile(file.path, text);
    const versions = await file.open();
    assert.throws(() => versions.assertNoRollback('belt', '1.9.0'), { code: 'model-rollback' }, text);
    assert.deepEqual(JSON.parse(await readFile(file.path, 'utf8')), { belt: '2.0.0' }, text);
  }
});

test('a lost record is made again from what the hub remembers, and never below what is known here', async () => {
  await using file = await record();
  await writeFile(file.path, '');
  const versions = await file.open();
  await versions.recover({ belt: '2.0.0', press: '1.0.0' });
  await versions.recover({ belt: '1.0.0', press: '1.5.0' });
  assert.throws(() => versions.assertNoRollback('belt', '1.9.0'), { code: 'model-rollback' });
  const again = await file.open();
  assert.throws(() => again.assertNoRollback('press', '1.4.0'), { code: 'model-rollback' });
  again.assertNoRollback('belt', '2.0.0');
});
