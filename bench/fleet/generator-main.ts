// The process that plays all devices: `generator-main.ts FLEET_FILE HOST PORT`, then orders over IPC (orders.ts). It runs beside the hub and
// never in it, so the hub's processor time and memory are the hub's alone.
import { readFileSync } from 'node:fs';
import { request } from 'node:https';
import { performance } from 'node:perf_hooks';
import { parseBase64url } from '@edgekeep/core/bytes';
import { percentile } from '../harness.ts';
import { DeviceConnection, type HttpAnswer } from './connection.ts';
import { type Boot, bootOf, type FleetFile, type Member, Prover } from './member.ts';
import type { Answer, Order, PhaseResult, QuarantineResult, ReleaseResult, Reply } from './orders.ts';

/** Handshakes at once while the fleet connects: a busy minute, not a stampede. */
const handshakesAtOnce = 32;
/** Bodies of releases that are kept, to verify their receipts afterwards. */
const bodiesKept = 2_000;

interface Device {
  readonly member: Member;
  readonly prover: Prover;
  connection: DeviceConnection | undefined;
}

/** Who goes next: whoever waited longest, and nobody twice at once. */
class Turns {
  readonly #ring: Device[];
  #next = 0;

  constructor(devices: readonly Device[]) {
    this.#ring = [...devices];
  }

  take(): Device {
    const device = this.#ring[this.#next++];
    if (device === undefined) throw new Error('more devices at once than there are');
    return device;
  }

  give(device: Device): void {
    this.#ring.push(device);
    // The part in front is done with; without this the list would grow with every release.
    if (this.#next < 100_000) return;
    this.#ring.splice(0, this.#next);
    this.#next = 0;
  }
}

const [fleetPath = '', host = '', portText] = process.argv.slice(2);
const address = { host, port: Number(portText) };
const fleet: FleetFile = JSON.parse(readFileSync(fleetPath, 'utf8'));
const boots: readonly Boot[] = fleet.boots.map((boot) => bootOf(Buffer.from(boot, 'base64')));
const devices: readonly Device[] = fleet.members.map((member) => ({
  member,
  prover: new Prover(member.attestationKey, bootAt(member.boot), fleet.pcrs),
  connection: undefined,
}));
/** One rotation for the whole benchmark, so that every connection gets its turn. */
const turns = new Turns(devices);
const bodies: string[] = [];
let released = 0;

process.on('message', (order: Order) => {
  void obey(order).then(
    (answer) => reply({ kind: 'done', answer }),
    (error: unknown) => reply({ kind: 'failed', message: error instanceof Error ? error.message : String(error) }),
  );
});
process.once('disconnect', () => process.exit(0));

function reply(message: Reply): void {
  process.send?.(message);
}

function obey(order: Order): Promise<Answer> {
  switch (order.kind) {
    case 'connect':
      return phase(order, async (device) => {
        device.connection = await DeviceConnection.open(address, fleet, device.member);
      });
    case 'bind':
      return phase(order, async (device) => succeeded('bind', await bind(device)));
    case 'release':
      return release(order.atOnce, order.seconds);
    case 'quarantine':
      return quarantine(order);
    case 'receipts':
      return Promise.resolve(bodies.slice(0, order.most).map(receiptIn));
  }
}

async function phase(
  { from, to }: { readonly from: number; readonly to: number },
  step: (device: Device) => Promise<void>,
): Promise<PhaseResult> {
  const before = performance.now();
  const remaining = devices.slice(from, to).values();
  const worker = async () => {
    for (const device of remaining) await step(device);
  };
  await Promise.all(Array.from({ length: handshakesAtOnce }, worker));
  return { count: to - from, wallMs: performance.now() - before };
}

function bind({ prover, connection }: Device): Promise<HttpAnswer> {
  const live = connected(connection);
  const evidence = prover.evidence('bind', new Uint8Array(32), live.exporter);
  return live.post('/v1/bind', `{"evidence":${evidence}}`);
}

/** Attest and release as a device sees it: a challenge, and the key with its receipt. */
async function attestAndRelease({ prover, connection }: Device): Promise<void> {
  const live = connected(connection);
  const challenge = await live.post('/v1/challenges', '');
  succeeded('challenge', challenge);
  const { nonce }: { readonly nonce: string } = JSON.parse(challenge.body);
  const evidence = prover.evidence('release', parseBase64url(nonce, 'nonce'), live.exporter);
  const { name, version } = fleet.model;
  const answer = await live.post('/v1/releases', `{"model":"${name}","version":"${version}","evidence":${evidence}}`);
  succeeded('release', answer);
  released += 1;
  keep(answer.body);
}

// Every body has the same chance to be kept, however many come (reservoir sampling).
function keep(body: string): void {
  const at = released <= bodiesKept ? released - 1 : Math.floor(Math.random() * released);
  if (at < bodiesKept) bodies[at] = body;
}

async function release(atOnce: number, seconds: number): Promise<ReleaseResult> {
  const began = performance.now();
  const until = began + seconds * 1000;
  return measured(turns, atOnce, () => performance.now() < until, began);
}

/** A closed loop: each of `atOnce` workers takes the next device in turn, so the load goes round over all connections. */
async function measured(idle: Turns, atOnce: number, goesOn: () => boolean, began: number): Promise<ReleaseResult> {
  const times: number[] = [];
  const cpuBefore = process.cpuUsage();
  const worker = async () => {
    while (goesOn()) {
      const device = idle.take();
      const start = performance.now();
      await attestAndRelease(device);
      times.push(performance.now() - start);
      idle.give(device);
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, devices.length) }, worker));
  const cpu = process.cpuUsage(cpuBefore);
  return {
    count: times.length,
    wallMs: performance.now() - began,
    p50Ms: percentile(times, 0.5),
    p99Ms: percentile(times, 0.99),
    mostMs: percentile(times, 1),
    cpuMs: (cpu.user + cpu.system) / 1000,
  };
}

/** Devices from the end of the list are cut off, one after another, while the others work on. */
async function quarantine({ count, url, token }: Extract<Order, { kind: 'quarantine' }>): Promise<QuarantineResult> {
  const others = devices.slice(0, -count);
  let othersClosed = 0;
  for (const { connection } of others) void connection?.closed.then(() => (othersClosed += 1));
  let busy = true;
  const load = measured(new Turns(others), 16, () => busy, performance.now());
  const closedMs: number[] = [];
  const answeredMs: number[] = [];
  const refusals: string[] = [];
  for (const device of devices.slice(-count)) {
    const live = connected(device.connection);
    const sent = performance.now();
    const closed = live.closed.then(() => closedMs.push(performance.now() - sent));
    await order(`${url}/v1/devices/${device.member.id}/quarantine`, token);
    answeredMs.push(performance.now() - sent);
    await closed;
    refusals.push(await comeBack(device));
  }
  busy = false;
  return { closedMs, answeredMs, refusals, others: await load, othersClosed };
}

/** The certificate still stands for the handshake; the binding must not. */
async function comeBack(device: Device): Promise<string> {
  device.connection = await DeviceConnection.open(address, fleet, device.member);
  const { status, body } = await bind(device);
  device.connection.close();
  if (status === 200) return 'bound';
  const { error }: { readonly error: { readonly code: string } } = JSON.parse(body);
  return error.code;
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

function bootAt(index: number): Boot {
  const boot = boots[index];
  if (boot === undefined) throw new Error(`the fleet file has no boot log ${index}`);
  return boot;
}

function connected(connection: DeviceConnection | undefined): DeviceConnection {
  if (connection === undefined) throw new Error('this device is not connected');
  return connection;
}

function succeeded(what: string, { status, body }: HttpAnswer): void {
  if (status !== 200) throw new Error(`${what} was answered with ${status}: ${body.slice(0, 500)}`);
}
