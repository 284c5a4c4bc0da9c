import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { agentNodeOptions, hubNodeOptions, keyProcessOptions } from './program.ts';

test('the units of systemd start hub and agent with the options that the verbs give them', async () => {
  for (const [name, options] of [
    ['hub', hubNodeOptions],
    ['agent', agentNodeOptions],
  ] as const) {
    const unit = await readFile(new URL(`../../deploy/edgekeep-${name}.service`, import.meta.url), 'utf8');
    const [, given] = /^ExecStart=\S+\/bin\/node (.*) \S+main\.js/m.exec(unit) ?? [];
    assert.deepEqual(given?.split(' '), [...keyProcessOptions, ...options], name);
  }
});
