// A publisher with two keys, end to end: the command line makes and registers them, the hub and the device refuse what one of them signed alone.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { withoutSecondSignature } from '@edgekeep/core/model/signature/bundle';
import { auditList } from '@edgekeep/wire/api/audit';
import { modelResponse } from '@edgekeep/wire/api/model-release';
import { z } from 'zod';
import { edgekeep } from './main-job/edgekeep.ts';
import { HubWorld } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';
import { TestDevice } from './support/test-device.ts';
import { inStore } from './support/outside-store.ts';

let world: HubWorld;
const at = (name: string) => join(world.folder, name);
const models = [{ name: 'opaque', use: 'program' as const }];

async function succeeds(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await edgekeep(...words);
  assert.equal(code, 0, `${words.join(' ')}: ${stderr}${stdout}`);
  return stdout;
}

const publish = (key: string, version: string) =>
  edgekeep(
    'model',
    'publish',
    at('weights.bin'),
    '--name',
    'opaque',
    '--version',
    version,
    '--key',
    at(key),
    '--operator',
    world.operatorFile,
  );

before(async () => {
  world = await HubWorld.open();
  await allowSoftware(world);
  await writeFile(at('weights.bin'), 'the weights');
  await succeeds('model', 'keygen', '--post-quantum', '--out', at('publisher.pem'));
  const pem = await readFile(at('publisher.pem'), 'utf8');
  await writeFile(at('classical.pem'), pem.slice(0, pem.indexOf('-----BEGIN', 10)), { mode: 0o600 });
  const publicPem = await readFile(at('publisher.pub.pem'), 'utf8');
  await writeFile(at('classical.pub.pem'), publicPem.slice(0, publicPem.indexOf('-----BEGIN', 10)));
});
after(() => world?.[Symbol.asyncDispose]());

test('a publisher that is registered with one key gets the second later, once, and it is in the log', async () => {
  const trust = (file: string) =>
    edgekeep('publisher', 'trust', at(file), '--name', 'acme', '--operator', world.operatorFile);
  assert.equal((await trust('classical.pub.pem')).code, 0);
  assert.equal((await trust('publisher.pub.pem')).code, 0);
  // The former registration again does not take the second key away.
  assert.equal((await trust('classical.pub.pem')).code, 0);
  const other = (await readFile(at('publisher.pub.pem'), 'utf8')).split(/(?<=-----END PUBLIC KEY-----\n)/);
  await succeeds('model', 'keygen', '--post-quantum', '--out', at('other.pem'));
  const foreign = (await readFile(at('other.pub.pem'), 'utf8')).split(/(?<=-----END PUBLIC KEY-----\n)/);
  await writeFile(at('exchanged.pub.pem'), `${other[0]}${foreign[1]}`);
  assert.notEqual((await trust('exchanged.pub.pem')).code, 0);
  const { entries } = await world.operator.get('/v1/audit', auditList);
  assert.equal(entries.filter(({ kind }) => kind === 'publisher-strengthened').length, 1);
});

// SECURITY.md: HUB-81
test('the hub publishes what both keys signed, and refuses what the classical one signed alone', async () => {
  const refused = await publish('classical.pem', '1.0.0');
  assert.notEqual(refused.code, 0);
  assert.match(refused.stderr + refused.stdout, /ML-DSA-65/);
  const published = await publish('publisher.pem', '1.0.0');
  assert.equal(published.code, 0, published.stderr);
});

// SECURITY.md: HUB-81
test('a device with both keys runs the model, and not when the hub strips the second signature', async () => {
  await using device = await TestAgent.prepare(world, 'press-1', { models });
  await writeFile(join(device.stateFolder, 'publisher.pem'), await readFile(at('publisher.pub.pem')));
  const story = await device.start();
  await story.next('released');
  await device.stop();
  await inStore(world.place, async (store) => {
    const [row] = await store.rows('select signature from model_release');
    const { signature } = z.object({ signature: z.string() }).parse(row);
    await store.run('update model_release set signature = ?', withoutSecondSignature(signature));
    const again = await device.start();
    const { why } = await again.next('model-refused');
    assert.match(why, /ML-DSA-65/);
    await store.run('update model_release set signature = ?', signature);
  });
});

test('an agent of the version before gets the bundle with the first signature alone', async () => {
  await using old = await TestDevice.withoutTpm('old-1', at('old-1'));
  await old.enroll(world);
  await using link = await old.connect(world.hub);
  const answer = await link.ask('GET', '/v1/models/opaque');
  const { signature } = modelResponse.parse(JSON.parse(Buffer.from(answer.body).toString()));
  assert.equal(withoutSecondSignature(signature), signature);
});
