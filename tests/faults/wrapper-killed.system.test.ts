// `edgekeep hub run` and `edgekeep agent run` start the hub and the agent as separate processes. When the wrapper is killed, they end too.
import assert from 'node:assert/strict';
import type { ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { edgekeep, startEdgekeep } from '../main-job/edgekeep.ts';
import { ending } from '../support/child.ts';
import { HubWorld } from '../support/hub-world.ts';

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

/**
 * Kills the wrapper once it has printed its first line, and waits until no process holds its standard output: neither the wrapper nor its
 * children.
 */
async function killOnceReady(child: ChildProcessByStdio<null, Readable, Readable>): Promise<string> {
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const lines = createInterface({ input: child.stdout });
  const first = await Promise.race([once(lines, 'line'), once(child, 'exit')]);
  assert.equal(child.exitCode, null, stderr);
  const ended = once(child.stdout, 'close');
  lines.on('line', () => undefined);
  child.kill('SIGKILL');
  await ended;
  return String(first[0]);
}

test('a hub ends with the wrapper that was killed, and the next one starts on its folder', async () => {
  await world.stop();
  for (let turn = 0; turn < 2; turn += 1) {
    const child = startEdgekeep('hub', 'run', '--data', world.hubFolder);
    await using _ = ending(child);
    assert.match(await killOnceReady(child), /^ready: /);
  }
  await world.start();
});

test('an agent ends with the wrapper that was killed, and the next one starts on its folder', async () => {
  const state = join(world.folder, 'press-1');
  const kit = ['enroll', 'kit', 'press-1', '--out', state, '--software', '--operator', world.operatorFile];
  const made = await edgekeep(...kit);
  assert.equal(made.code, 0, made.stderr);
  for (let turn = 0; turn < 2; turn += 1) {
    const child = startEdgekeep('agent', 'run', '--state', state);
    await using _ = ending(child);
    assert.match(await killOnceReady(child), /^\{"kind":/);
  }
});
