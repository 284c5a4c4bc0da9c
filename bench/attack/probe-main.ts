// Well-behaved callers beside an attack, in a separate process: a bound device and an operator, twenty-five requests a second each, and an
// unknown client that makes a new connection each second. Prints one JSON line with the latencies of each second.
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { FleetDevice } from '../fleet/device.ts';
import type { FleetFile } from '../fleet/member.ts';
import type { ProbeOrder, Sample } from './orders.ts';

const order: ProbeOrder = JSON.parse(process.argv[2] ?? '');
const fleet: FleetFile = JSON.parse(readFileSync(order.fleetFile, 'utf8'));
const samples: Sample[] = [];
const REQUESTS_PER_SECOND = 25;

const device = FleetDevice.all(fleet, order.device)[0];
if (device === undefined) throw new Error('the fleet has no device');
await device.connect();
await device.bind();
const operatorAgent = new Agent({ keepAlive: true, maxSockets: 4 });

// One request after the other on its one connection; waiting for the previous one counts.
let last: Promise<void> = Promise.resolve();
const challenge = () => {
  last = last.catch(() => undefined).then(() => device.challenge());
  return last;
};

const ends = performance.now() + order.seconds * 1_000;
const under: Promise<void>[] = [];
for (let turn = 0; performance.now() < ends; turn += 1) {
  under.push(timed('operator', () => ask(operatorAgent)));
  under.push(timed('device', challenge));
  if (turn % REQUESTS_PER_SECOND === 0) under.push(timed('newcomer', () => askAsNewcomer()));
  await delay(1_000 / REQUESTS_PER_SECOND);
}
await Promise.race([Promise.allSettled(under), delay(20_000)]);
process.stdout.write(`${JSON.stringify(samples)}\n`);
process.exit(0);

async function timed(who: Sample['who'], work: () => Promise<void>): Promise<void> {
  const atMs = performance.now();
  const sample = (failed: boolean) => ({ who, atMs, ms: performance.now() - atMs, failed });
  try {
    await work();
    samples.push(sample(false));
  } catch {
    samples.push(sample(true));
  }
}

function ask(agent: Agent): Promise<void> {
  const headers = { authorization: `Bearer ${order.token}` };
  return get({ ...order.operator, path: '/v1/devices?limit=10', headers, agent });
}

function askAsNewcomer(): Promise<void> {
  return get({
    ...order.device,
    path: '/v1/authorities',
    agent: new Agent({ keepAlive: false }),
    localAddress: order.address,
  });
}

function get(options: object): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { ...options, ca: fleet.root, servername: fleet.serverName, timeout: 15_000 },
      (answer) => {
        answer
          .resume()
          .once('end', () => (answer.statusCode === 200 ? resolve() : reject(new Error(`${answer.statusCode}`))));
      },
    );
    outgoing.once('error', reject).once('timeout', () => outgoing.destroy(new Error('timeout')));
    outgoing.end();
  });
}
