import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainKeys } from './plain-keys.ts';

test('a key that a kill cut off is none, and is made again; one that is there is never overwritten', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-keys-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const keys = plainKeys(folder);
  await writeFile(join(folder, 'state.key.new'), 'half');
  assert.equal(await keys.read('state.key'), undefined);
  assert.deepEqual(await keys.names(), []);
  await keys.add('state.key', Buffer.from('whole'));
  await assert.rejects(keys.add('state.key', Buffer.from('other')), { code: 'conflict' });
  assert.equal(await readFile(join(folder, 'state.key'), 'utf8'), 'whole');
  assert.deepEqual(await keys.names(), ['state.key']);
});
