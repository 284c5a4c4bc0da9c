// A guard that ends although nobody ended it: the agent goes on, and the hub counts it by reason.
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { publishModel } from '@edgekeep/cli/model/publication';
import { alertOf } from './support/alerts.ts';
import { checkInsOf } from './support/check-ins.ts';
import { HubWorld } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';

const path = fileURLToPath(new URL('../guard/src/fixtures/primary.onnx', import.meta.url));

// SECURITY.md: DEV-40
test('a guard that is killed is started again, and the hub counts it and tells of it', async () => {
  await using world = await HubWorld.open();
  await allowSoftware(world);
  const published = { path, name: 'light', version: '1.0.0', signer: world.publisher };
  await publishModel(world.operator, { ...published, withoutOrt: true, progress: () => undefined });
  await using device = await TestAgent.prepare(world, 'press-1', { models: [{ name: 'light', use: 'guard' }] });
  const story = await device.start();
  await story.next('serving');
  const guardOf = () => device.agent.status().models[0]?.guard?.processId;
  const before = guardOf();
  assert.ok(typeof before === 'number' && before > 1);
  // As the kernel does it when memory runs out.
  process.kill(before, 'SIGKILL');
  assert.match((await story.next('guard-ended')).why, /SIGKILL/);
  await story.next('serving');
  assert.notEqual(guardOf(), before);
  const alert = await alertOf(world, 'press-1', 'guard-ended');
  assert.deepEqual([alert.severity, alert.data['crashes']], ['low', 1]);
  // What was counted is not counted again.
  await checkInsOf(world, 'press-1', 2);
  const metrics = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  assert.match(metrics, /^edgekeep_guards_ended_total\{reason="crashed"\} 1$/m);
  assert.match(metrics, /^edgekeep_guards_ended_total\{reason="protocol-violation"\} 0$/m);
});
