// A device that cannot use a release: it gets one key for it and no more, reports why, and tries again when that can help.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { publishModel } from '@edgekeep/cli/model/publication';
import { alertList } from '@edgekeep/wire/api/alert';
import { modelDevices, retryResponse } from '@edgekeep/wire/api/model';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { assertRefused } from './support/answer.ts';
import { alertOf } from './support/alerts.ts';
import { checkInsOf } from './support/check-ins.ts';
import { HubWorld } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';
import { TestDevice } from './support/test-device.ts';

const fixture = fileURLToPath(new URL('../guard/src/fixtures/primary.onnx', import.meta.url));
const plenty = { sharedMemory: async () => undefined, memoryFree: () => 1e12 };
const maxPerWindow = 5;
let world: HubWorld;

before(async () => {
  const settings = { alerts: { devicesRefusingRelease: 2 }, lease: { maxPerWindow } };
  world = await HubWorld.open({ settings });
  await allowSoftware(world);
});
after(() => world[Symbol.asyncDispose]());

/** Publishes the fixture, unchanged or with one operator renamed. */
async function publish(name: string, version: string, operator?: string): Promise<void> {
  const path = join(world.folder, `${name}-${version}.onnx`);
  const bytes = await readFile(fixture, 'latin1');
  const changed = operator === undefined ? bytes : bytes.replaceAll('Flatten', operator);
  assert.notEqual(changed, operator === undefined ? '' : bytes);
  await writeFile(path, changed, 'latin1');
  const order = { path, name, version, signer: world.publisher, withoutOrt: true, progress: () => undefined };
  // Devices must report what publishing would refuse.
  await publishModel(world.operator, { ...order, force: true });
}

const keysOf = async (id: string) =>
  (await world.entries('key-released')).filter(({ subject }) => subject === `device:${id}`).length;
const modelOf = async (id: string) => (await world.device(id)).models[0];
const idsMatching = async (filter: string) =>
  (await world.operator.get(`/v1/devices?filter=${encodeURIComponent(filter)}`, deviceList)).devices.map(
    ({ id }) => id,
  );

// SECURITY.md: DEV-36
test('a model with an operator that the runtime lacks costs one key a device, is reported, and is tried again when another release comes', async (t) => {
  const models = [{ name: 'bright', use: 'guard' as const }];
  await publish('bright', '1.0.0', 'Flattem');
  await using one = await TestAgent.prepare(world, 'unsupported-1', { models });
  await using two = await TestAgent.prepare(world, 'unsupported-2', { models });
  const refused = await (await one.start()).next('model-refused');
  assert.deepEqual([refused.code, refused.place, refused.final], ['model-unsupported', 'guard', true]);
  assert.match(refused.why, /Flattem/);

  await t.test('not asked for again, by check-ins or by a restart', async () => {
    await checkInsOf(world, 'unsupported-1', 5);
    await one.stop();
    await (await one.start()).next('model-refused');
    await checkInsOf(world, 'unsupported-1', 3);
    assert.equal(await keysOf('unsupported-1'), 1);
  });
  await t.test('operators see the cause, and find the devices by it', async () => {
    const model = await modelOf('unsupported-1');
    assert.deepEqual(
      [model?.model, model?.state, model?.fault?.code, model?.fault?.version, model?.fault?.final],
      ['bright', 'locked', 'model-unsupported', '1.0.0', true],
    );
    assert.deepEqual(await idsMatching('fault==model-unsupported'), ['unsupported-1']);
    assert.match(
      Buffer.from(await world.operator.getBytes('/metrics')).toString(),
      /edgekeep_device_models\{model="bright",state="locked",fault="model-unsupported"\} 1/,
    );
  });
  await t.test('two devices that refuse it are an alert, which is over with the next release', async () => {
    const standing = async () =>
      (await world.operator.get('/v1/alerts?kind=release-refused-by-devices&state=any', alertList)).alerts;
    assert.deepEqual(await standing(), []);
    await (await two.start()).next('model-refused');
    await checkInsOf(world, 'unsupported-2', 2);
    const [alert] = await standing();
    assert.deepEqual(
      [alert?.state, alert?.subject, alert?.data['devices']],
      ['open', 'model:bright', ['unsupported-1', 'unsupported-2']],
    );
    await publish('bright', '1.0.1');
    await Promise.all([one, two].map(({ story }) => story.next('serving')));
    for (const id of ['unsupported-1', 'unsupported-2']) await checkInsOf(world, id, 2);
    assert.equal((await standing())[0]?.state, 'closed');
    assert.deepEqual(await idsMatching('holds==bright'), ['unsupported-1', 'unsupported-2']);
    const shown = await world.operator.get('/v1/models/bright/devices?version=1.0.1', modelDevices);
    assert.deepEqual(
      shown.devices.map(({ deviceId, state }) => `${deviceId} ${state}`),
      ['unsupported-1 serving', 'unsupported-2 serving'],
    );
  });
});

test('an operator’s word has a device try once more, and no more than once', async () => {
  const models = [{ name: 'retried', use: 'guard' as const }];
  await publish('retried', '1.0.0', 'Flattem');
  await using device = await TestAgent.prepare(world, 'retried', { models });
  const story = await device.start();
  await story.next('model-refused');
  await checkInsOf(world, 'retried', 2);
  const path = '/v1/devices/retried/retry-model';
  await world.operator.send('POST', path, { model: 'retried' }, retryResponse);
  await story.next('model-retried');
  await story.next('model-refused');
  await checkInsOf(world, 'retried', 4);
  assert.equal(await keysOf('retried'), 2);
  assert.equal((await modelOf('retried'))?.retryOrdered, false);
  assert.equal((await world.entries('model-retry-ordered')).length, 1);
  const token = await world.apiToken(['devices:write']);
  const body = JSON.stringify({ model: 'another' });
  assertRefused(await world.askOperator('POST', path, { token, body }), { status: 404, code: 'not-found' });
});

test('what the machine lacks is found before a key is asked for, and the model is served once it is there', async () => {
  await publish('large', '1.0.0');
  const models = [{ name: 'large', use: 'guard' as const }];
  await using device = await TestAgent.prepare(world, 'small', { models });
  let free = 0;
  const machine = { ...plenty, sharedMemory: async () => ({ freeBytes: free, pageBytes: 4_096 }) };
  const story = await device.start({ machine });
  const refused = await story.next('model-refused');
  assert.deepEqual([refused.code, refused.place, refused.final], ['shared-memory-short', 'check', false]);
  await checkInsOf(world, 'small', 4);
  assert.equal(await keysOf('small'), 0);
  assert.equal((await modelOf('small'))?.fault?.code, 'shared-memory-short');
  free = 1e12;
  await story.next('serving');
  await checkInsOf(world, 'small', 2);
  assert.equal((await modelOf('small'))?.fault, null);
});

test('a clock that is off is shown and is an alert, until it is set', async () => {
  await using device = await TestAgent.prepare(world, 'wrong-clock', {});
  let aheadSeconds = 3_000;
  const { clock } = world;
  await device.start({ clock: () => clock.now() + aheadSeconds * 1_000 });
  const alert = await alertOf(world, 'wrong-clock', 'device-clock');
  assert.match(alert.title, /^the clock of wrong-clock is (2999|300[01]) s ahead of the hub's$/);
  const { clockSkewSeconds } = await world.device('wrong-clock');
  assert.ok(Math.abs((clockSkewSeconds ?? 0) - 3_000) <= 1);
  aheadSeconds = 0;
  await alertOf(world, 'wrong-clock', 'device-clock', ({ state, by }) => state === 'closed' && by === 'hub');
});

// SECURITY.md: DEV-36
test('a device that uses up keys is refused more and is an alert; its log entries end', async () => {
  await world.publishModel('burned', '1.0.0', 'weights');
  await using device = await TestDevice.withoutTpm('burner', join(world.folder, 'burner'));
  await device.enroll(world);
  await using link = await device.connect(world.hub);
  // The setting, and twice the renewals of an hour: a lease of an hour is renewed at 40 minutes.
  const allowed = maxPerWindow + 3;
  for (let key = 0; key < allowed; key += 1) await device.release(link, 'burned', '1.0.0');
  for (let ask = 0; ask < 3; ask += 1) {
    const answer = await device.askForKey(link, 'burned', '1.0.0');
    assertRefused(answer, { status: 429, code: 'rate-limited' });
  }
  assert.equal(await keysOf('burner'), allowed);
  assert.equal((await world.entries('release-refused')).length, 0);
  const alert = await alertOf(world, 'burner', 'leases-used-up');
  assert.deepEqual([alert.severity, alert.count, alert.data['allowed']], ['high', 1, allowed]);
  world.clock.advanceSeconds(3_601);
  await device.release(link, 'burned', '1.0.0');
  // Once its clock is right again, a hub refuses no device for releases that are now in the future.
  world.clock.advanceSeconds(-2 * 3_601);
  assertRefused(await device.askForKey(link, 'burned', '1.0.0'), { status: 503, code: 'clock-behind' });
  world.clock.advanceSeconds(2 * 3_601);
  await device.release(link, 'burned', '1.0.0');
});
