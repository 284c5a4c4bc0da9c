// Time: leases and certificates are renewed while predictions continue; a lease that cannot be renewed ends on time, for any change of the
// clock.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TestClock } from '../support/clock.ts';
import { JobDevice } from './job-device.ts';
import { jobTest, JobWorld } from './job-world.ts';
import { askAbout, Asker, assertTellsDarkFromBright, until } from './predict.ts';
import { isAlive } from './traces.ts';

const path = fileURLToPath(new URL('../../guard/src/fixtures/primary.onnx', import.meta.url));
const name = 'brightness';

describe('a hub that is gone', jobTest, () => {
  const leaseSeconds = 3_600;
  let world: JobWorld;

  before(async () => {
    world = await JobWorld.open({ leaseSeconds });
    await world.publish({ path, name, version: '1.0.0' });
  });
  after(() => world?.[Symbol.asyncDispose]());

  test('does not take a lease away, and does not prolong it, even for a device whose clock is set back', async () => {
    await using device = await JobDevice.prepare(world, 'press-1', [{ name }]);
    await using setBack = await JobDevice.prepare(world, 'press-2', [{ name }]);
    // The test controls the time, also on a busy machine.
    const passing = new TestClock();
    for (const each of [device, setBack]) await (await each.start({ elapsed: passing.now })).next('serving');
    const socketPath = device.socket(name);
    const guard = device.modelStatus().guard?.processId ?? 0;
    await world.hub.stop();
    await assertTellsDarkFromBright(socketPath, name);

    // The wall clock of the other device is set back by a day; only the monotonic clock counts.
    world.hub.clock.advanceSeconds(-86_400);
    passing.advanceSeconds(leaseSeconds / 2);
    for (const each of [device, setBack]) await assertTellsDarkFromBright(each.socket(name), name);
    passing.advanceSeconds(leaseSeconds / 2);
    for (const each of [device, setBack]) {
      assert.match((await each.story.next('locked')).why, /lease ended/);
      assert.equal((await askAbout(each.socket(name), name, 0.9)).status, 503);
    }
    await until(() => !isAlive(guard), 'the guard is gone, and its memory with it');
    world.hub.clock.advanceSeconds(86_400);

    await world.hub.start();
    await device.story.next('serving');
    await assertTellsDarkFromBright(socketPath, name);
  });
});

describe('a hub that is there', jobTest, () => {
  const leaseSeconds = 30;
  const certificateSeconds = 60;
  let world: JobWorld;

  before(async () => {
    world = await JobWorld.open({ leaseSeconds, certificateSeconds });
    await world.publish({ path, name, version: '1.0.0' });
  });
  after(() => world?.[Symbol.asyncDispose]());

  test('renews leases and certificates ahead of time, and not one prediction fails', async () => {
    await using device = await JobDevice.prepare(world, 'press-1', [{ name }]);
    const story = await device.start({ elapsed: world.hub.clock.now });
    await story.next('serving');
    const guard = device.modelStatus().guard?.processId;
    await using asker = new Asker(device.socket(name), name);
    const leases = new Set<string>();
    const certificates = new Set<number>();
    // Two thirds of a lease and one third of a certificate each time.
    for (let round = 0; round < 6; round += 1) {
      const { lease } = device.modelStatus();
      leases.add(lease?.id ?? '');
      certificates.add(device.agent.status().certificateNotAfter ?? 0);
      await asker.moreAnswers(20);
      world.hub.clock.advanceSeconds(20.5);
      await until(() => device.modelStatus().lease?.id !== lease?.id, 'the lease is renewed');
      if (round % 2 === 1) await story.next('certificate-renewed');
    }
    await asker.moreAnswers(20);
    await asker.stop();
    assert.deepEqual(asker.failures, []);
    assert.equal(leases.size, 6);
    assert(certificates.size >= 3, `${certificates.size} certificates`);
    assert.equal(device.modelStatus().guard?.processId, guard, 'the same guard all the time');
    const bad = ['locked', 'disconnected', 'refused', 'failed', 'model-refused', 'hub-unreachable'];
    assert.deepEqual(
      story.events.filter(({ kind }) => bad.includes(kind)),
      [],
    );
  });
});
