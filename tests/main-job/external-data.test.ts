// A model in several files, published by the command line and used on the device.
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { edgekeep } from './edgekeep.ts';
import { JobDevice } from './job-device.ts';
import { jobTest, JobWorld } from './job-world.ts';
import { assertTellsDarkFromBright, until } from './predict.ts';

const fixtures = fileURLToPath(new URL('../../guard/src/fixtures', import.meta.url));
let world: JobWorld;

before(async () => {
  if (jobTest.skip !== false) return;
  world = await JobWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

/** A folder as exporters leave it: the graph in model.onnx, its weights in the file that the graph names. */
async function externalModel(): Promise<string> {
  const folder = join(world.publisher.folder, 'external');
  await mkdir(folder, { recursive: true });
  for (const name of ['external.onnx', 'external.bin']) await copyFile(join(fixtures, name), join(folder, name));
  await rename(join(folder, 'external.onnx'), join(folder, 'model.onnx'));
  return folder;
}

async function publish(version: string, ...more: readonly string[]): Promise<void> {
  const release = ['--name', 'external', '--version', version, '--key', world.publisher.keyFile];
  const operator = ['--operator', world.hub.operatorFile];
  const { code, stderr } = await edgekeep('model', 'publish', await externalModel(), ...release, ...operator, ...more);
  assert.equal(code, 0, stderr);
}

async function sealedFiles(device: JobDevice): Promise<readonly string[]> {
  const names = await readdir(join(device.stateFolder, 'models'), { recursive: true });
  return names.filter((name) => name.endsWith('.sealed'));
}

test('a folder with an ONNX model and its weights answers, as it is and from its .ort twin', jobTest, async () => {
  await publish('1.0.0', '--no-ort');
  await using device = await JobDevice.prepare(world, 'press-1', [{ name: 'external' }]);
  const story = await device.start();
  assert.equal((await story.next('serving')).version, '1.0.0');
  await assertTellsDarkFromBright(device.socket('external'), 'external');
  assert.equal((await sealedFiles(device)).length, 2, 'graph and weights');

  await publish('1.1.0');
  assert.equal((await story.next('serving')).version, '1.1.0');
  await assertTellsDarkFromBright(device.socket('external'), 'external');
  await until(async () => (await sealedFiles(device)).length === 1, 'of all files the twin alone is left');
});
