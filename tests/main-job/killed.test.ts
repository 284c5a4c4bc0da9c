// An agent that is killed while it serves leaves nothing: no plaintext, no model key, no guard. And it comes back.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findProgram } from '@edgekeep/cli/program';
import { concat, parseHex } from '@edgekeep/core/bytes';
import { openFile, sealedFileKey } from '@edgekeep/core/model/sealed-file';
import { z } from 'zod';
import { get } from './local.ts';
import { type AgentProcess, JobDevice } from './job-device.ts';
import { jobTest, JobWorld } from './job-world.ts';
import { until } from './predict.ts';
import { filesWith, formsOf, holdersOfMemoryFile, isAlive, modelKeyInHub, windowsOf } from './traces.ts';

const example = fileURLToPath(new URL('../../examples/surface-inspection/models/primary.onnx', import.meta.url));
const guarded = 'inspection';
const opaque = 'engine';
const version = '1.0.0';
// A length that no other memory file on this machine has.
const engine = randomBytes(3 * 2 ** 20 + 4_321);

const statusSchema = z.looseObject({
  models: z.array(z.looseObject({ name: z.string(), guard: z.looseObject({ processId: z.number() }).nullable() })),
});

describe('an agent as a process of its own', jobTest, () => {
  let world: JobWorld;
  let device: JobDevice;
  let agent: AgentProcess;
  let windows: readonly Buffer[] = [];
  let keys: readonly Buffer[] = [];

  before(async () => {
    world = await JobWorld.open();
    await world.publish({ path: example, name: guarded, version, withoutOrt: false });
    await world.publish({ path: await world.source('engine.plan', engine), name: opaque, version });
    const twin = join(world.publisher.folder, 'primary.ort');
    await promisify(execFile)(process.execPath, [findProgram('@edgekeep/guard/optimise-main').file, example, twin]);
    const plaintexts = [await readFile(example), await readFile(twin), engine];
    windows = plaintexts.flatMap(windowsOf);
    keys = [
      ...formsOfKeys(await modelKeyInHub(world.hub, guarded, version), 'primary.onnx', 'primary.ort'),
      ...formsOfKeys(await modelKeyInHub(world.hub, opaque, version), 'engine.plan'),
    ];
    device = await JobDevice.prepare(world, 'press-1', [{ name: guarded }, { name: opaque }]);
    await serve();
  });
  after(() => world?.[Symbol.asyncDispose]());

  function formsOfKeys(modelKey: Uint8Array, ...paths: readonly string[]): readonly Buffer[] {
    return [modelKey, ...paths.map((path) => sealedFileKey(modelKey, path))].flatMap(formsOf);
  }

  async function serve(): Promise<void> {
    agent = device.spawn();
    const { story } = agent;
    await until(() => story.has('serving') && story.has('ready'), 'both models are there');
  }

  async function guardProcess(): Promise<number> {
    const { body } = await get(device.socket('agent'), '/status');
    const { models } = statusSchema.parse(JSON.parse(body.toString()));
    return models.find(({ name }) => name === guarded)?.guard?.processId ?? 0;
  }

  async function assertNothingIsLeft(): Promise<void> {
    // The publisher's own folder may have the plaintext.
    const places = ['devices', 'stage'].map((name) => join(world.folder, name));
    const searched = [...places, world.hub.folder, world.simulators.folder, '/dev/shm'];
    assert.deepEqual(await filesWith(windows, searched), [], 'plaintext');
    assert.deepEqual(await filesWith(keys, searched), [], 'keys');
    assert.deepEqual(await holdersOfMemoryFile(engine.length), [], 'processes that still hold the opened file');
  }

  test('what is looked for would be found', async () => {
    assert(windows.length > 30, `${windows.length} windows`);
    const sources = await filesWith(windows, [world.publisher.folder]);
    assert.deepEqual(sources.map((path) => path.slice(world.publisher.folder.length + 1)).toSorted(), [
      'engine.plan',
      'primary.ort',
    ]);
    const modelKey = await modelKeyInHub(world.hub, opaque, version);
    assert.deepEqual(await openedOnDisk(modelKey), engine);
    assert.deepEqual(await holdersOfMemoryFile(engine.length), [agent.processId]);
  });

  test('while it serves, nothing of a model is on the disk', async () => {
    const searched = [join(world.folder, 'devices'), world.hub.folder, '/dev/shm'];
    assert.deepEqual(await filesWith([...windows, ...keys], searched), []);
  });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`after ${signal} neither plaintext nor key nor guard is left, and a restart serves again`, async () => {
      const guard = await guardProcess();
      assert(isAlive(guard));
      agent.kill(signal);
      const ended = await agent.ended;
      assert.deepEqual(ended, signal === 'SIGKILL' ? { code: null, signal } : { code: 0, signal: null });
      await until(() => !isAlive(guard), 'the guard ends on its own');
      await assertNothingIsLeft();
      await serve();
      assert(isAlive(await guardProcess()));
    });
  }

  /** Proves that this is the model key: it opens the files that the device stores. */
  async function openedOnDisk(modelKey: Uint8Array): Promise<Buffer> {
    const folder = join(device.stateFolder, 'models', opaque);
    const [digest = ''] = await readdir(folder);
    const [file = ''] = await readdir(join(folder, digest));
    const sealed = join(folder, digest, file);
    const binding = { path: 'engine.plan', manifestDigest: parseHex(digest, 'folder') };
    const parts: Uint8Array[] = [];
    for await (const chunk of openFile(createReadStream(sealed), modelKey, binding)) parts.push(Uint8Array.from(chunk));
    return Buffer.from(concat(...parts));
  }
});
