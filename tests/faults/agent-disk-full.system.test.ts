// An agent with a full state folder: it cannot store what it saw of the log, so it cosigns nothing, and reports why to the hub.
import assert from 'node:assert/strict';
import { cp, rename, rm } from 'node:fs/promises';
import { test } from 'node:test';
import { checkInsOf } from '../support/check-ins.ts';
import { HubWorld } from '../support/hub-world.ts';
import { SmallDisk, skipWithoutSmallDisk } from '../support/small-disk.ts';
import { allowSoftware, TestAgent } from '../support/test-agent.ts';

const skip = await skipWithoutSmallDisk();

test('an agent with a full state folder tells the hub why, and goes on once there is room', { skip }, async () => {
  await using world = await HubWorld.open();
  await allowSoftware(world);
  await using agent = await TestAgent.prepare(world, 'press-1', { models: [{ name: 'surface' }] });
  const content = `${agent.stateFolder}-content`;
  await rename(agent.stateFolder, content);
  await using disk = await SmallDisk.mount(agent.stateFolder, 4);
  await cp(content, agent.stateFolder, { recursive: true });
  await rm(content, { recursive: true });
  const faultOf = async () => (await world.device('press-1')).models[0]?.fault ?? undefined;

  const story = await agent.start();
  await story.next('attested');
  await disk.fill();
  // The log grows, so that there is something to store.
  await world.enrollmentToken();
  const failed = await story.next('failed');
  assert.deepEqual([failed.step, failed.code], ['check-in', 'disk-full']);
  await checkInsOf(world, 'press-1', 3);
  const fault = await faultOf();
  assert.deepEqual([fault?.code, fault?.place, fault?.final], ['disk-full', 'check-in', false]);
  assert.match(fault?.message ?? '', /no space is left on the disk of the state folder/);
  assert.ok((fault?.attempts ?? 0) > 1, `${fault?.attempts}`);

  await disk.free();
  await story.next('cosigned');
  await checkInsOf(world, 'press-1', 2);
  assert.equal((await faultOf())?.place === 'check-in', false);
  await agent.stop();
});
