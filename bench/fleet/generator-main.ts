// The process that plays all devices: `generator-main.ts FLEET_FILE HOST PORT`, then orders over IPC (orders.ts). It is never in the hub's
// process, so the measured processor time and memory are the hub's alone.
import { messageOf } from '@edgekeep/core/message-of';
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { performance } from 'node:perf_hooks';
import { percentile } from '../harness.ts';
import { DeviceConnection } from './connection.ts';
import { FleetDevice } from './device.ts';
import { DeviceFailure, Failures } from './failures.ts';
import type { FleetFile } from './member.ts';
import type { Answer, FleetProcessOrder, PhaseResult, QuarantineResult, ReleaseResult, Reply } from './orders.ts';

/** Concurrent handshakes while the fleet connects: busy, but no storm. */
const handshakesAtOnce = 32;
/** Bodies of releases that are kept, to verify their receipts afterwards. */
const bodiesKept = 2_000;

/** The next device: the one that waited longest; no device twice at once. */
class TurnCounter {
  readonly #ring: FleetDevice[];
  #next = 0;

  constructor(devices: readonly FleetDevice[]) {
    this.#ring = [...devices];
  }

  take(): FleetDevice {
    const device = this.#ring[this.#next++];
    if (device === undefined) throw new Error('more devices at once than there are');
    return device;
  }

  give(device: FleetDevice): void {
    this.#ring.push(device);
    // The front part is done; without this the list would grow with every release.
    if (this.#next < 100_000) return;
    this.#ring.splice(0, this.#next);
    this.#next = 0;
  }
}

const [fleetPath = '', host = '', portText] = process.argv.slice(2);
const fleet: FleetFile = JSON.parse(readFileSync(fleetPath, 'utf8'));
const devices = FleetDevice.all(fleet, { host, port: Number(portText) });
/** One rotation for the whole benchmark, so that every connection gets its turn. */
const turns = new TurnCounter(devices);
const bodies: string[] = [];
let released = 0;

process.on('message', (order: FleetProcessOrder) => {
  void obey(order).then(
    (answer) => reply({ kind: 'done', answer }),
    (error: unknown) => reply({ kind: 'failed', message: messageOf(error) }),
  );
});
process.once('disconnect', () => process.exit(0));

function reply(message: Reply): void {
  process.send?.(message);
}

function obey(order: FleetProcessOrder): Promise<Answer> {
  switch (order.kind) {
    case 'connect':
      return phase(order, (device) => device.connect());
    case 'bind':
      return phase(order, (device) => device.bind());
    case 'release':
      return release(order.atOnce, order.seconds);
    case 'pace':
      return pace(order.perSecond, order.seconds);
    case 'quarantine':
      return quarantine(order);
    case 'receipts':
      return Promise.resolve(bodies.slice(0, order.maxReceipts).map(receiptIn));
  }
}

async function phase(
  { from, to }: { readonly from: number; readonly to: number },
  step: (device: FleetDevice) => Promise<void>,
): Promise<PhaseResult> {
  const before = performance.now();
  const failures = new Failures();
  let count = 0;
  const remaining = devices.slice(from, to).values();
  const worker = async () => {
    for (const device of remaining) {
      try {
        await step(device);
        count += 1;
      } catch (error) {
        failures.count(error);
      }
    }
  };
  await Promise.all(Array.from({ length: handshakesAtOnce }, worker));
  return { count, wallMs: performance.now() - before, failures: failures.counts };
}

// Every body has the same chance to be kept, however many come (reservoir sampling).
function keep(body: string): void {
  released += 1;
  const at = released <= bodiesKept ? released - 1 : Math.floor(Math.random() * released);
  if (at < bodiesKept) bodies[at] = body;
}

async function release(atOnce: number, seconds: number): Promise<ReleaseResult> {
  const began = performance.now();
  const until = began + seconds * 1000;
  return measured(turns, atOnce, () => performance.now() < until, began);
}

/** A closed loop: each of `atOnce` workers takes the next device in turn, so the load goes over all connections. */
async function measured(
  idle: TurnCounter,
  atOnce: number,
  goesOn: () => boolean,
  began: number,
): Promise<ReleaseResult> {
  const counted = startCount(began);
  const worker = async () => {
    while (goesOn()) {
      const device = idle.take();
      const start = performance.now();
      try {
        keep(await device.attestAndRelease());
        counted.times.push(performance.now() - start);
      } catch (error) {
        counted.failures.count(error);
      }
      idle.give(device);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, devices.length) }, worker));
  return counted.result();
}

/** An open loop: releases begin when they are due. */
async function pace(perSecond: number, seconds: number): Promise<ReleaseResult> {
  const began = performance.now();
  const counted = startCount(began);
  const one = async (dueMs: number) => {
    const device = turns.take();
    try {
      keep(await device.attestAndRelease());
      counted.times.push(performance.now() - dueMs);
    } catch (error) {
      counted.failures.count(error);
    }
    turns.give(device);
  };
  const all: Promise<void>[] = [];
  while (all.length < perSecond * seconds) {
    const due = Math.min(perSecond * seconds, ((performance.now() - began) * perSecond) / 1000);
    while (all.length < due) all.push(one(began + (all.length * 1000) / perSecond));
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
  await Promise.all(all);
  return counted.result();
}

/** The times and failures of releases since now, and what they cost this process. */
function startCount(began: number) {
  const times: number[] = [];
  const failures = new Failures();
  const cpuBefore = process.cpuUsage();
  const { bytesSent, bytesReceived } = DeviceConnection;
  const result = (): ReleaseResult => {
    const { user, system } = process.cpuUsage(cpuBefore);
    return {
      count: times.length,
      wallMs: performance.now() - began,
      p50Ms: percentile(times, 0.5),
      p99Ms: percentile(times, 0.99),
      mostMs: percentile(times, 1),
      cpuMs: (user + system) / 1000,
      bytesSent: (DeviceConnection.bytesSent - bytesSent) / times.length,
      bytesReceived: (DeviceConnection.bytesReceived - bytesReceived) / times.length,
      failures: failures.counts,
    };
  };
  return { times, failures, result };
}

/** Devices from the end of the list are cut off, one after another, while the others continue. */
async function quarantine({
  count,
  url,
  token,
}: Extract<FleetProcessOrder, { kind: 'quarantine' }>): Promise<QuarantineResult> {
  const others = devices.slice(0, -count);
  let othersClosed = 0;
  for (const { closed } of others) void closed.then(() => (othersClosed += 1));
  let busy = true;
  const load = measured(new TurnCounter(others), 16, () => busy, performance.now());
  const closedMs: number[] = [];
  const answeredMs: number[] = [];
  const refusals: string[] = [];
  for (const device of devices.slice(-count)) {
    const sent = performance.now();
    const closed = device.closed.then(() => closedMs.push(performance.now() - sent));
    await order(`${url}/v1/devices/${device.member.id}/quarantine`, token);
    answeredMs.push(performance.now() - sent);
    await closed;
    refusals.push(await comeBack(device));
  }
  busy = false;
  return { closedMs, answeredMs, refusals, others: await load, othersClosed };
}

/** The certificate is still valid for the handshake; the bind must be refused. */
async function comeBack(device: FleetDevice): Promise<string> {
  try {
    await device.connect();
    await device.bind();
    return 'bound';
  } catch (error) {
    if (error instanceof DeviceFailure) return error.code;
    throw error;
  } finally {
    device.disconnect();
  }
}

async function order(url: string, token: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const sent = request(url, { method: 'POST', ca: fleet.root, servername: fleet.serverName, headers }, (response) => {
    response.resume().once('end', () => {
      if (response.statusCode === 200) resolve();
      else reject(new Error(`the quarantine was answered with ${response.statusCode}`));
    });
  });
  sent.once('error', reject).end('{"reason":"benchmark"}');
  await promise;
}

function receiptIn(body: string): string {
  const { receipt }: { readonly receipt: string } = JSON.parse(body);
  return receipt;
}
