// A device whose clock jumps ahead while it runs: it does not renew repeatedly, requests no key that it would refuse, and reports why.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { HubWorld } from '../support/hub-world.ts';
import { allowSoftware, TestAgent } from '../support/test-agent.ts';
import { checkInsOf } from '../support/check-ins.ts';

const models = [{ name: 'surface', use: 'program' as const }];
const leaseSeconds = 3_600;
let world: HubWorld;
before(async () => {
  world = await HubWorld.open({ settings: { leaseSeconds } });
  await allowSoftware(world);
  await world.publishModel('surface', '1.0.0', 'weights');
});
after(() => world?.[Symbol.asyncDispose]());

const keysOf = async (id: string) =>
  (await world.entries('key-released')).filter(({ subject }) => subject === `device:${id}`).length;
const certificatesOf = async (id: string) => (await world.device(id)).certificates.length;

// SECURITY.md: DEV-35
test('45 minutes ahead: one lease and one certificate, however often it checks in, and one more when time really passes', async () => {
  await using device = await TestAgent.prepare(world, 'jumped', { models });
  let aheadSeconds = 0;
  let passedSeconds = 0;
  const { clock } = world;
  const story = await device.start({
    clock: () => clock.now() + aheadSeconds * 1_000,
    elapsed: () => performance.now() + passedSeconds * 1_000,
  });
  await story.next('ready');
  aheadSeconds = 45 * 60;
  await checkInsOf(world, 'jumped', 5);
  assert.deepEqual([await keysOf('jumped'), await certificatesOf('jumped')], [1, 1]);
  // A sixteenth of the lease after the last renewal, the wall clock triggers one renewal.
  passedSeconds = leaseSeconds / 16;
  await story.next('lease-renewed');
  await checkInsOf(world, 'jumped', 5);
  assert.deepEqual([await keysOf('jumped'), await certificatesOf('jumped')], [2, 1]);
  passedSeconds += (leaseSeconds * 2) / 3 - 60;
  await checkInsOf(world, 'jumped', 3);
  assert.equal(await keysOf('jumped'), 2);
  passedSeconds += 61;
  await story.next('lease-renewed');
  assert.equal(await keysOf('jumped'), 3);
});

// SECURITY.md: HUB-69
test('the hub a day back: it gives no key and no certificate, the device keeps its lease, and both go on when the clock is right', async () => {
  await using device = await TestAgent.prepare(world, 'hub-back', { models });
  let passedSeconds = 0;
  const story = await device.start({
    clock: () => Date.now(),
    elapsed: () => performance.now() + passedSeconds * 1_000,
  });
  await story.next('ready');
  world.clock.advanceSeconds(-86_400);
  passedSeconds = (leaseSeconds * 2) / 3 + 60;
  assert.match(JSON.stringify(await story.next('failed')), /clock-behind/);
  assert.deepEqual([await keysOf('hub-back'), await certificatesOf('hub-back')], [1, 1]);
  assert.equal(device.agent.status().models[0]?.state, 'ready');
  world.clock.advanceSeconds(86_400);
  await story.next('lease-renewed');
  assert.equal(await keysOf('hub-back'), 2);
});

test('ten days ahead: the model is locked, no key is asked for, and the event names the clock', async () => {
  await using device = await TestAgent.prepare(world, 'far-ahead', { models });
  let aheadSeconds = 0;
  const story = await device.start({
    clock: () => world.clock.now() + aheadSeconds * 1_000,
    elapsed: () => performance.now(),
  });
  await story.next('ready');
  aheadSeconds = 10 * 86_400;
  assert.match((await story.next('locked')).why, /lease ended/);
  const refused = await story.next('model-refused');
  assert.equal(refused.code, 'clock-ahead');
  assert.match(refused.why, /86[34]\d\d\d s ahead of the hub's: set it/);
  await checkInsOf(world, 'far-ahead', 5);
  assert.deepEqual([await keysOf('far-ahead'), await certificatesOf('far-ahead')], [1, 1]);
});

test('a device that takes no attestation result asks for one less and less often, tells it once, and still checks in', async () => {
  await using device = await TestAgent.prepare(world, 'no-result', { models });
  const { clock } = world;
  const passed = { seconds: 0 };
  const story = await device.start({
    clock: () => clock.now() + 86_400_000,
    elapsed: () => passed.seconds * 1_000,
  });
  await story.next('failed');
  const asked = async () => {
    const text = Buffer.from(await world.operator.getBytes('/metrics')).toString();
    return Number(
      /edgekeep_request_seconds_count\{listener="device",route="\/v1\/attest",status="200"\} (\d+)/.exec(text)?.[1] ??
        0,
    );
  };
  await checkInsOf(world, 'no-result', 1);
  const before = await asked();
  // No time passes for the device: at any number of check-ins, its renewal is not due.
  await checkInsOf(world, 'no-result', 6);
  assert.equal(await asked(), before);
  assert.equal(story.events.filter(({ kind }) => kind === 'failed').length, 1);
  passed.seconds = 3_600;
  await story.next('failed');
  assert.equal(await asked(), before + 1);
});
