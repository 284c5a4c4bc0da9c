// A hub that was started without the means to open its keys, as people use it: two programs, shares in files, one person after the other.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ending } from './support/child.ts';

const cli = fileURLToPath(import.meta.resolve('@edgekeep/cli/main'));
const settings = JSON.stringify({ device: { port: 0 }, operator: { port: 0 }, logLevel: 'silent' });

function edgekeep(...words: readonly string[]) {
  return spawn(process.execPath, [cli, ...words], { stdio: ['ignore', 'pipe', 'pipe'] });
}

async function outcome(...words: readonly string[]) {
  const child = edgekeep(...words);
  await using _ = ending(child);
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { code, out, err };
}

test('it listens for nobody until enough people gave their shares, and then serves', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-unlock-'));
  await using opened = new AsyncDisposableStack();
  opened.defer(() => rm(folder, { recursive: true }));
  const data = join(folder, 'hub');
  const where = ['--root-folder', join(folder, 'root'), '--share-folder', join(folder, 'shares')];
  const made = await outcome('hub', 'init', '--data', data, '--unlock', 'shares:2/3', '--settings', settings, ...where);
  assert.equal(made.code, 0, made.err);
  const share = (number: number) => join(folder, 'shares', `share-${number}-of-3.txt`);
  const unlock = (...words: readonly string[]) => outcome('hub', 'unlock', '--data', data, ...words);

  const nobody = await unlock('--share', share(1));
  assert.deepEqual([nobody.code, /no hub waits/.test(nobody.err)], [3, true]);

  const hub = edgekeep('hub', 'run', '--data', data, '--wait', '--json');
  opened.use(ending(hub));
  const said = createInterface({ input: hub.stderr })[Symbol.asyncIterator]();
  let line = '';
  while (!line.includes('waiting at')) line = String((await said.next()).value);
  assert.match(line, /unlock\.sock.*shares-1/);
  let ready = false;
  const serving = once(createInterface({ input: hub.stdout }), 'line').then(() => (ready = true));

  const wrong = await unlock('--share', join(folder, 'hub', 'hub.json'));
  assert.equal(wrong.code, 1, wrong.err);
  const first = await unlock('--share', share(3));
  assert.deepEqual([first.code, first.out.trim()], [0, '1 of 2 shares received: the hub waits for 1 more']);
  const twice = await unlock('--share', share(3));
  assert.match(twice.out, /1 of 2 shares/);
  assert.equal(ready, false);
  const second = await unlock('--share', share(1));
  assert.deepEqual([second.code, second.out.trim()], [0, 'unlocked: the hub starts']);
  await serving;
});
