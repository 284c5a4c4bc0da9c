// Changes by an attacker on the device itself: a sealed model, a stage of its application.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import { JobDevice } from './job-device.ts';
import { jobTest, JobWorld } from './job-world.ts';
import { askAbout, assertTellsDarkFromBright } from './predict.ts';

const path = fileURLToPath(new URL('../../guard/src/fixtures/primary.onnx', import.meta.url));
const name = 'brightness';

describe('a device that was tampered with', jobTest, () => {
  let world: JobWorld;

  before(async () => {
    world = await JobWorld.open();
    await world.publish({ path, name, version: '1.0.0' });
  });
  after(() => world?.[Symbol.asyncDispose]());

  async function sign({ stage }: JobDevice, signer: Signer): Promise<void> {
    await writeFile(stage.signature, await signModelFiles(stage.folder, { signer, ignorePaths: [] }));
  }
  const change = ({ stage }: JobDevice) =>
    appendFile(join(stage.folder, 'application.js'), 'console.log("and more")\n');

  async function assertNoKey(device: JobDevice): Promise<void> {
    assert.equal((await askAbout(device.socket(name), name, 0.9).catch(() => undefined))?.status ?? 503, 503);
    assert(!device.story.has('released'));
    assert.deepEqual((await world.hub.device(device.id)).leases, []);
  }

  test('does not open a sealed file with a changed byte, fetches it anew, and serves', async () => {
    await using device = await JobDevice.prepare(world, 'press-1', [{ name }]);
    await (await device.start()).next('serving');
    await device.stop();
    const folder = join(device.stateFolder, 'models', name);
    const [digest = ''] = await readdir(folder);
    const [file = ''] = await readdir(join(folder, digest));
    const sealed = await readFile(join(folder, digest, file));
    const at = Math.floor(sealed.length / 2);
    sealed[at] = (sealed[at] ?? 0) ^ 0x40;
    await writeFile(join(folder, digest, file), sealed);
    const story = await device.start();
    const refused = await story.next('model-refused');
    assert.equal(refused.code, 'model-damaged');
    assert(!story.has('serving'));
    await story.next('downloaded');
    await story.next('serving');
    await assertTellsDarkFromBright(device.socket(name), name);
  });

  test('stays in recovery when its application is not what was signed', async () => {
    await using device = await JobDevice.prepare(world, 'press-2', [{ name }]);
    await change(device);
    const story = await device.start();
    assert.match((await story.next('recovery')).why, /stage application does not verify/);
    // It reports to its hub, which sees that a stage is missing.
    const { reasons } = await story.next('refused');
    assert.match(JSON.stringify(reasons), /PCR 14/);
    assert.equal(device.agent.status().state, 'recovery');
    await assertNoKey(device);
  });

  test('stays in recovery when its application was signed by somebody else', async () => {
    await using device = await JobDevice.prepare(world, 'press-3', [{ name }]);
    await change(device);
    await sign(device, signerFromKey(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey));
    const story = await device.start();
    await story.next('recovery');
    await story.next('refused');
    await assertNoKey(device);
  });

  test('is refused by name when its application is signed but is no published one', async () => {
    await using device = await JobDevice.prepare(world, 'press-4', [{ name }]);
    await change(device);
    await sign(device, world.publisher.signer);
    const story = await device.start();
    const refused = await story.next('refused');
    assert.equal(refused.code, 'attestation-refused');
    assert.match(JSON.stringify(refused.reasons), /stage application/);
    assert(!story.has('recovery'));
    await assertNoKey(device);
    const { status, body } = await askAbout(device.socket(name), name, 0.9);
    assert.equal(status, 503);
    assert.match(JSON.stringify(body), /model-unavailable: the hub refuses it: attestation-refused/);
  });
});
