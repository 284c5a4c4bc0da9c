// A hub one of whose files beside the store lost its content: it starts and puts the file back where it can, else it names the file and what to do.
import assert from 'node:assert/strict';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { findProgram } from '@edgekeep/cli/program';
import { ending } from './support/child.ts';
import { closeAll } from './support/closing.ts';
import { HubWorld } from './support/hub-world.ts';

const hubMain = findProgram('@edgekeep/hub/main').file;
let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
  await world.integrated();
  await world.stop();
});
after(() => closeAll(world));

/** A copy of the hub's folder in which one file is spoiled. */
async function spoiled(name: string, bytes: Uint8Array): Promise<string> {
  const folder = join(world.folder, 'spoiled');
  await rm(folder, { recursive: true, force: true });
  await cp(world.hubFolder, folder, { recursive: true });
  await writeFile(join(folder, name), bytes);
  return folder;
}

/** What a hub says that does not start; undefined for one that is ready. */
async function startOn(folder: string): Promise<{ readonly exit: number | null; readonly said: string } | undefined> {
  const hub = spawn(process.execPath, [hubMain, 'run', '--data', folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  await using _ = ending(hub);
  const said = text(hub.stderr);
  const exit = once(hub, 'exit');
  const first = await Promise.race([once(hub.stdout, 'data').then(() => 'ready' as const), exit]);
  return first === 'ready' ? undefined : { exit: hub.exitCode, said: await said };
}

const blank = (length: number) => [Buffer.alloc(0), Buffer.alloc(length)];

test('an emptied key is named with what to do', async () => {
  const keys = await readdir(join(world.hubFolder, 'keys'));
  const named = ['log-key.pem', 'attestation-key.pem', keys.find((name) => /^issuing-.*\.pem$/.test(name)) ?? ''];
  for (const name of named) {
    const refused = await startOn(await spoiled(`keys/${name}`, Buffer.alloc(0)));
    assert.equal(refused?.exit, 3, name);
    assert.match(refused.said, new RegExp(`settings-invalid: .*keys/${name} is empty: put it back from a backup`));
  }
  for (const name of ['platform.key', 'state.key'])
    assert.match(
      (await startOn(await spoiled(`keys/${name}`, Buffer.alloc(0))))?.said ?? '',
      new RegExp(`${name}: expected 32`),
    );
});

test('an emptied store is named as one, and not as one that somebody changed', async () => {
  const refused = await startOn(await spoiled('hub.sqlite', Buffer.alloc(0)));
  assert.equal(refused?.exit, 3);
  assert.match(refused.said, /hub\.sqlite is empty, as after a loss of power or a broken copy: restore a backup/);
});

test('an emptied settings file is named', async () => {
  const refused = await startOn(await spoiled('hub.json', Buffer.alloc(0)));
  assert.match(refused?.said ?? '', /settings-invalid: .*hub\.json is empty: put it back from a copy/);
});

test('an emptied or zeroed checkpoint or tile of the log is written again from the store', async () => {
  const tiles = await readdir(join(world.hubFolder, 'log/tile/0/000.p'));
  const newest = tiles.toSorted((a, b) => Number(b) - Number(a))[0] ?? '';
  for (const name of ['log/checkpoint', `log/tile/0/000.p/${newest}`, `log/tile/entries/000.p/${newest}`]) {
    const whole = await readFile(join(world.hubFolder, name));
    for (const bytes of blank(whole.length)) {
      const folder = await spoiled(name, bytes);
      assert.equal(await startOn(folder), undefined, name);
      const now = await readFile(join(folder, name));
      // A start appends entries, so the checkpoint may be a newer one.
      if (name !== 'log/checkpoint') assert.deepEqual(now, whole, name);
      else assert.ok(now.length > 0 && now[0] !== 0);
    }
  }
});
