import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { plainKeys } from './plain-keys.ts';
import { needStateKey } from './state-key.ts';

test('a hub that lost its state key gets no other one: the message names the file, and a hub from before gets one once', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-state-key-'));
  try {
    await mkdir(join(folder, 'keys'));
    const keys = plainKeys(join(folder, 'keys'));
    using store = new DatabaseSync(join(folder, 'hub.sqlite'));
    store.exec('create table security_state (id integer)');
    const made = await needStateKey(keys, folder);
    assert.deepEqual(await needStateKey(keys, folder), made);
    store.exec('insert into security_state values (1)');
    assert.deepEqual(await needStateKey(keys, folder), made);
    await rm(join(folder, 'keys', 'state.key'));
    await assert.rejects(needStateKey(keys, folder), { code: 'settings-invalid', message: /^state\.key is missing/ });
    assert.deepEqual(await keys.names(), []);
  } finally {
    await rm(folder, { recursive: true });
  }
});
