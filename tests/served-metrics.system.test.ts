// The metrics of a hub and of a device that serves, as Prometheus reads them; and what applications read when a model does not come.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { request } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { publishModel } from '@edgekeep/cli/model/publication';
import { skipWithoutOptional } from '@edgekeep/hardware/tpm/testing';
import { HubWorld } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';

const path = fileURLToPath(new URL('../guard/src/fixtures/primary.onnx', import.meta.url));

let world: HubWorld;
let device: TestAgent;
before(async () => {
  world = await HubWorld.open();
  await allowSoftware(world);
  const published = { path, name: 'light', version: '1.0.0', signer: world.publisher };
  await publishModel(world.operator, { ...published, withoutOrt: true, progress: () => undefined });
  await world.publishModel('engine', '1.0.0', 'weights');
  const models = [{ name: 'light' }, { name: 'engine' }, { name: 'absent' }];
  device = await TestAgent.prepare(world, 'press-1', { models });
  const story = await device.start();
  for (const kind of ['serving', 'ready', 'refused'] as const) if (!story.has(kind)) await story.next(kind);
});
after(async () => {
  await device?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

async function get(
  socket: string,
  target: string,
): Promise<{ status: number | undefined; head: object; body: string }> {
  const answer = Promise.withResolvers<{ status: number | undefined; head: object; body: string }>();
  const sent = request({ socketPath: join(device.stateFolder, 'run', socket), path: target }, (response) => {
    const { statusCode: status, headers: head } = response;
    text(response).then((body) => answer.resolve({ status, head, body }), answer.reject);
  });
  sent.on('error', answer.reject);
  sent.end();
  return answer.promise;
}

const hubMetrics = async () => Buffer.from(await world.operator.getBytes('/metrics')).toString();

test('the device’s metrics name the model that it serves', async () => {
  const { status, body } = await get('agent.sock', '/metrics');
  assert.equal(status, 200);
  assert.match(body, /^edgekeep_model_state\{model="light",state="serving"\} 1$/m);
  assert.match(body, /^edgekeep_agent_connected 1$/m);
});

test('a gauge of the hub is never named like a counter', async () => {
  assert.doesNotMatch(await hubMetrics(), /^# TYPE \S+_total gauge$/m);
});

test('promtool finds nothing to say about either', { skip: await skipWithoutOptional('promtool') }, async () => {
  for (const metrics of [await hubMetrics(), (await get('agent.sock', '/metrics')).body]) {
    const promtool = spawn('promtool', ['check', 'metrics'], { stdio: ['pipe', 'pipe', 'pipe'] });
    const said = Promise.all([text(promtool.stdout), text(promtool.stderr)]);
    const ended = new Promise((resolve) => promtool.once('exit', resolve));
    promtool.stdin.end(metrics);
    assert.deepEqual([await ended, ...(await said)], [0, '', '']);
  }
});

test('a model that does not come says why, and asks nobody to come back in vain', async () => {
  const unpublished = await get('absent.sock', '/v2/models/absent');
  assert.equal(unpublished.status, 503);
  assert.deepEqual(JSON.parse(unpublished.body), {
    error: 'model-unavailable: the hub has no published release of it',
  });
  assert.ok(!('retry-after' in unpublished.head));
  const program = await get('engine.sock', '/v2/models/engine/ready');
  assert.match(program.body, /model-unavailable: its files are for a program/);
  assert.ok(!('retry-after' in program.head));
});
