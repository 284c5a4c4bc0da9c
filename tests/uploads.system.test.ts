// A model is published over a connection that breaks, and by a program that is interrupted.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { publishModel } from '@edgekeep/cli/model/publication';
import { operatorFromFile } from '@edgekeep/cli/operator';
import { breakingProxy, operatorFileAt } from './support/breaking-proxy.ts';
import { HubWorld } from './support/hub-world.ts';

async function temporary() {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-uploads-'));
  return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

test('a model of several segments is published over a link that breaks twice', async () => {
  await using world = await HubWorld.open();
  await using scratch = await temporary();
  await using proxy = await breakingProxy([world.hub.operatorAddress.port], [2_500_000, 3_000_000]);
  const operator = await operatorFromFile(await operatorFileAt(world, scratch.folder, proxy.port));
  const path = join(scratch.folder, 'weights.bin');
  await writeFile(path, randomBytes(8_000_000));
  const order = { path, name: 'large', version: '1.0.0', signer: world.publisher, withoutOrt: true };
  const release = await publishModel(operator, { ...order, progress: () => undefined });
  assert.equal(proxy.broken(), 2);
  assert.equal(release.state, 'published');
  assert.deepEqual(await readdir(join(world.hubFolder, 'blobs/incoming')), []);
});

test('a folder of a publish that was interrupted is gone', async () => {
  await using scratch = await temporary();
  const program = `
    import { openScratch } from ${JSON.stringify(import.meta.resolve('@edgekeep/cli/model/scratch'))};
    using scratch = openScratch('edgekeep-publish');
    console.log(scratch.folder);
    await new Promise((resolve) => setInterval(resolve, 1_000_000));`;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const env = { ...process.env, TMPDIR: scratch.folder };
    const args = ['--input-type=module', '-e', program];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    assert.equal((await readdir(scratch.folder)).length, 1);
    child.kill(signal);
    const [, by]: readonly unknown[] = await ended;
    assert.equal(by, signal);
    assert.deepEqual(await readdir(scratch.folder), []);
  }
});

test('the folder of a publish in another container that shares the temporary folder stays, and one that a killed publish left does not', async () => {
  await using scratch = await temporary();
  const own = /\d+/.exec(await readlink('/proc/self/ns/pid'))?.[0] ?? '0';
  // No process has an id this high.
  const ended = 4_194_305;
  const [theirs, abandoned] = [`edgekeep-publish-1-${ended}-abcdef`, `edgekeep-publish-${own}-${ended}-abcdef`];
  for (const name of [theirs, abandoned]) await mkdir(join(scratch.folder, name));
  const program = `
    import { openScratch } from ${JSON.stringify(import.meta.resolve('@edgekeep/cli/model/scratch'))};
    using scratch = openScratch('edgekeep-publish');`;
  const env = { ...process.env, TMPDIR: scratch.folder };
  await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program], { env });
  assert.deepEqual(await readdir(scratch.folder), [theirs]);
});
