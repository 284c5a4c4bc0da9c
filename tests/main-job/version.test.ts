// A new version replaces the old one under load; an old one never returns, even if the hub is compromised.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { JobDevice } from './job-device.ts';
import { jobTest, JobWorld } from './job-world.ts';
import { Asker, assertTellsDarkFromBright, askAbout, until } from './predict.ts';
import { adoptStore, changeStore } from '../support/edited-store.ts';
import { copyHub, exchangeHub } from '../support/world-copy.ts';

const path = fileURLToPath(new URL('../../guard/src/fixtures/primary.onnx', import.meta.url));
const name = 'brightness';
let world: JobWorld;

before(async () => {
  if (jobTest.skip !== false) return;
  world = await JobWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

/** As a hub does whose store an attacker rewrote: the newest release is gone, the log continues. */
async function withdrawInTheStore(version: string): Promise<void> {
  const sql = "update model_release set state = 'withdrawn' where name = ? and version = ?";
  assert.equal(await changeStore(world.hub.place, sql, name, version), 1);
}

test('a new version is swapped in without a failed prediction', jobTest, async () => {
  await world.publish({ path, name, version: '1.0.0' });
  await using device = await JobDevice.prepare(world, 'press-1', [{ name }]);
  const story = await device.start();
  await story.next('serving');
  await using asker = new Asker(device.socket(name), name);
  for (const version of ['1.1.0', '1.2.0', '2.0.0']) {
    await asker.moreAnswers(20);
    await world.publish({ path, name, version });
    assert.equal((await story.next('serving')).version, version);
    await asker.moreAnswers(20);
  }
  await asker.stop();
  assert.deepEqual(asker.failures, []);
  assert(!story.has('locked'));
});

test(
  'an older version offered by a hub whose store was rewritten is refused, also after a restart',
  jobTest,
  async () => {
    await using device = await JobDevice.prepare(world, 'press-2', [{ name }]);
    const story = await device.start();
    assert.equal((await story.next('serving')).version, '2.0.0');
    await world.hub.stop();
    await withdrawInTheStore('2.0.0');
    // Somebody with the hub's keys has the log vouch for it too.
    await adoptStore(world.hub);
    await world.hub.start();
    const refused = await story.next('model-refused');
    assert.equal(refused.code, 'model-rollback');
    assert.match(refused.why, /1\.2\.0.*2\.0\.0/);
    // It keeps the held version until the lease ends.
    await assertTellsDarkFromBright(device.socket(name), name);
    await device.stop();
    const again = await device.start();
    assert.equal((await again.next('model-refused')).code, 'model-rollback');
    assert(!again.has('released'));
    assert.equal((await askAbout(device.socket(name), name, 0.9)).status, 503);
  },
);

const LATER_ENTRIES = 100;

test('a hub that was set back to a copy is found by its log, and nothing is taken from it', jobTest, async () => {
  await world.publish({ path, name, version: '3.0.0' });
  await using device = await JobDevice.prepare(world, 'press-3', [{ name }]);
  const story = await device.start();
  await story.next('serving');
  const copy = join(world.folder, 'copy');
  await world.hub.stop();
  await copyHub(world.hub, copy);
  const sizeThen = device.agent.status().log.size;
  await world.hub.start();
  // A number of entries that a hub that was set back does not make up for: at the size that the device knows it would be a fork.
  for (let made = 0; made < LATER_ENTRIES; made += 1) await world.hub.enrollmentToken();
  await world.publish({ path, name, version: '3.1.0' });
  assert.equal((await story.next('serving')).version, '3.1.0');
  await until(() => device.agent.status().log.size > sizeThen + LATER_ENTRIES, 'the device vouched for the longer log');

  await world.hub.stop();
  await exchangeHub(world.hub, copy);
  await world.hub.start();
  const { reasons } = await story.next('log-refused');
  assert.match(reasons.join(), /small|short|behind|size/i);
  await device.stop();
  const again = await device.start();
  await again.next('log-refused');
  assert(!again.has('released'));
  assert.equal((await askAbout(device.socket(name), name, 0.9)).status, 503);
});
