import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { plainKeys } from './plain-keys.ts';
import { needStateKey } from './state-key.ts';

test('a hub that lost its state key gets no other one: the message names the file, and a hub from before gets one once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-state-key-'));
  try {
    await mkdir(join(folder, 'keys'));
    const keys = plainKeys(join(folder, 'keys'));
    const [before, since] = [async () => false, async () => true];
    const made = await needStateKey(keys, folder, before);
    assert.deepEqual(await needStateKey(keys, folder, before), made);
    assert.deepEqual(await needStateKey(keys, folder, since), made);
    await rm(join(folder, 'keys', 'state.key'));
    const lost = { code: 'settings-invalid', message: /^state\.key is missing/ };
    await assert.rejects(needStateKey(keys, folder, since), lost);
    assert.deepEqual(await keys.names(), []);
  } finally {
    await rm(folder, { recursive: true });
  }
});
