// From an operator's order to a device that answers nothing: the delay, and the way back.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JobDevice } from './job-device.ts';
import { jobTest, JobWorld } from './job-world.ts';
import { askAbout, Asker, assertTellsDarkFromBright, until } from './predict.ts';
import { isAlive } from './traces.ts';

const path = fileURLToPath(new URL('../../guard/src/fixtures/primary.onnx', import.meta.url));
const name = 'brightness';
let world: JobWorld;

before(async () => {
  if (jobTest.skip !== false) return;
  world = await JobWorld.open();
  await world.publish({ path, name, version: '1.0.0' });
});
after(() => world?.[Symbol.asyncDispose]());

test(
  'quarantine closes sockets, refuses predictions and ends the guard, and nobody else’s; release undoes it',
  jobTest,
  async () => {
    await using device = await JobDevice.prepare(world, 'press-1', [{ name }]);
    await using other = await JobDevice.prepare(world, 'press-2', [{ name }]);
    const story = await device.start();
    const otherStory = await other.start();
    await story.next('serving');
    await otherStory.next('serving');
    const socketPath = device.socket(name);
    const guard = device.modelStatus().guard?.processId ?? 0;
    assert(isAlive(guard));
    await using undisturbed = new Asker(other.socket(name), name, 1);
    for (let round = 1; round <= 3; round += 1) {
      // An application's open connection with one answered request.
      const open = connect({ path: socketPath });
      using _ = { [Symbol.dispose]: () => open.destroy() };
      open.write('GET /v2/health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await once(open, 'data');
      const closed = once(open, 'close');
      const { connectionsClosed } = await world.hub.setState('press-1', 'quarantine');
      assert.equal(connectionsClosed, 1);
      await until(
        async () => (await askAbout(socketPath, name, 0.9).catch(() => undefined))?.status === 503,
        'a refusal',
      );
      await closed;
      await story.next('locked');
      assert.equal(device.agent.status().state, 'quarantined');

      await world.hub.setState('press-1', 'release');
      await story.next('serving');
      await assertTellsDarkFromBright(socketPath, name);
    }
    assert(!isAlive(guard));
    await undisturbed.stop();
    assert.deepEqual(undisturbed.failures, []);
    const kinds = (await world.hub.entries('device-quarantined')).length;
    assert.equal(kinds, 3, 'every order is in the log');
  },
);
