// How fast an order of the hub reaches a device: from the operator's quarantine to the locked model on the device, and to the end of a
// program's open connection; and how soon a device notices that its connection was cut.
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { text } from 'node:stream/consumers';
import { DeviceLink } from '../tests/support/device-link.ts';
import { HubWorld } from '../tests/support/hub-world.ts';
import { allowSoftware, TestAgent } from '../tests/support/test-agent.ts';
import { type Benchmark, type Harness, percentile } from './harness.ts';

const LOCKED_MS_MAX = 1_000;
const NOTICED_MS_MAX = 250;
const model = 'opaque';

export const bench: Benchmark = {
  name: 'device-lock',
  title: 'Quarantine on the device: order to locked model',
  budget:
    'from the order to the locked model and to the end of what a program had open: p99 below 1 s; a cut connection is noticed within 250 ms (p99)',
  async run(harness) {
    await using world = await HubWorld.open({
      folder: join(harness.scratch, 'world'),
      // Each round releases another key.
      settings: { lease: { maxPerWindow: 1_000_000 } },
    });
    await allowSoftware(world);
    await world.publishModel(model, '1.0.0', 'weights');
    await measureLocking(harness, world);
    await measureCuts(harness, world);
  },
};

async function measureLocking(harness: Harness, world: HubWorld): Promise<void> {
  await using device = await TestAgent.prepare(world, 'press-1', { models: [{ name: model, use: 'program' }] });
  const story = await device.start();
  const locked: number[] = [];
  const ended: number[] = [];
  for (let round = 0; round < (harness.quick ? 10 : 100); round += 1) {
    await story.next('ready');
    const over = await openModel(join(device.stateFolder, 'run', 'admin.sock'));
    const ordered = performance.now();
    await world.setState('press-1', 'quarantine');
    await story.next('locked');
    locked.push(performance.now() - ordered);
    ended.push((await over.closed) - ordered);
    await world.setState('press-1', 'release');
  }
  judge(harness, 'order to locked model', locked, LOCKED_MS_MAX);
  judge(harness, 'order to the end of what a program had open', ended, LOCKED_MS_MAX);
}

/** Reads the model as a program does and keeps the connection open; `closed` has the time of its end. */
async function openModel(socketPath: string): Promise<{ readonly closed: Promise<number> }> {
  const agent = new Agent({ keepAlive: true });
  const path = `/models/${model}/files/weights.bin`;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request({ socketPath, path, agent }, resolve).once('error', reject).end();
  });
  const closed = once(response.socket, 'close').then(() => performance.now());
  await text(response);
  return { closed };
}

async function measureCuts(harness: Harness, world: HubWorld): Promise<void> {
  const noticed: number[] = [];
  for (let round = 0; round < (harness.quick ? 10 : 100); round += 1) {
    await using link = await DeviceLink.open(world.hub);
    const { closed } = link;
    const before = performance.now();
    const stopping = world.stop();
    await closed;
    noticed.push(performance.now() - before);
    await stopping;
    await world.start();
  }
  judge(harness, 'a hub that stops to the connection’s end on the device', noticed, NOTICED_MS_MAX);
}

function judge(harness: Harness, what: string, values: readonly number[], maxMs: number): void {
  const p99 = percentile(values, 0.99);
  harness.figure(`${what}, p50`, percentile(values, 0.5), 'ms');
  harness.figure(`${what}, p99`, p99, 'ms');
  harness.verdict(p99 < maxMs, `${what}: p99 ${p99.toFixed(1)} ms (below ${maxMs}) over ${values.length}`);
}
