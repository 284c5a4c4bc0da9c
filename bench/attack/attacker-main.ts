// One attack with the full power of one processor, for a number of seconds. Prints one JSON line: the number of attempts and their results.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { connect as connectTcp, createServer as createTcpServer } from 'node:net';
import { performance } from 'node:perf_hooks';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { FleetDevice } from '../fleet/device.ts';
import type { FleetFile } from '../fleet/member.ts';
import type { AttackName, AttackOrder, AttackResult } from './orders.ts';

const order: AttackOrder = JSON.parse(process.argv[2] ?? '');
const fleet: FleetFile = JSON.parse(readFileSync(order.fleetFile, 'utf8'));
const ends = performance.now() + order.seconds * 1_000;
const outcomes: Record<string, number> = {};
let tries = 0;
const base = { ca: fleet.root, servername: fleet.serverName, localAddress: order.address };
const json = { 'content-type': 'application/json' };

const attacks: Readonly<Record<AttackName, () => Promise<void>>> = {
  'large bodies': () =>
    bodies(`{"deviceId":"x","identity":{"kind":"software","signingKey":"${'A'.repeat(8_000_000)}"}}`),
  'large arrays': () => bodies(`[${'[],'.repeat(2_600_000)}0]`),
  'chunked bodies': () => bodies('['.repeat(4_000_000), { 'transfer-encoding': 'chunked' }),
  'slow bodies': () => slowly(1_500),
  'small requests': () =>
    many(60, (agent) =>
      post({ ...order.device, agent, path: '/v1/recover/challenge', headers: json }, '{"deviceId":"x"}'),
    ),
  handshakes: () => many(30, handshake),
  'half handshakes': () => halfHandshakes(4_000),
  'held handshakes': () => heldHandshakes(250),
  'guessed tokens': () =>
    many(60, (agent) =>
      post({
        ...order.operator,
        agent,
        method: 'GET',
        path: '/v1/devices',
        headers: { authorization: `Bearer ek_${randomBytes(32).toString('base64url')}` },
      }),
    ),
  'large bodies without a token': () =>
    many(20, (agent) => post({ ...order.operator, agent, path: '/v1/people', headers: json }, ' '.repeat(8_000_000))),
  OCSP: () =>
    many(60, (agent) =>
      post(
        { ...order.operator, agent, path: '/ocsp', headers: { 'content-type': 'application/ocsp-request' } },
        randomBytes(200),
      ),
    ),
  'public documents': () => many(30, (agent) => post({ ...order.operator, agent, method: 'GET', path: '/v1/trust' })),
  'a device within its rights': device,
  'an operator within its rights': operator,
};

await attacks[order.name]();
const result: AttackResult = { tries, outcomes };
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);

function count(outcome: string): void {
  outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
}

async function many(atOnce: number, once: (agent: Agent) => Promise<string>): Promise<void> {
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (performance.now() < ends) {
        tries += 1;
        count(await once(agent).catch(failureOf));
      }
    }),
  );
}

function failureOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'failed';
}

function bodies(body: string, headers: Readonly<Record<string, string>> = { 'content-length': `${body.length}` }) {
  return many(20, (agent) =>
    post({ ...order.device, agent, path: '/v1/enroll/challenge', headers: { ...json, ...headers } }, body),
  );
}

function post(options: object, body: string | Uint8Array = ''): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ method: 'POST', ...base, ...options }, (answer) => {
      answer.resume().once('end', () => resolve(String(answer.statusCode)));
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

function handshake(): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ ...base, ...order.device }, () => {
      socket.destroy();
      resolve('handshake');
    });
    socket.once('error', reject);
  });
}

async function halfHandshakes(maxConnections: number): Promise<void> {
  // The first bytes of a ClientHello, and nothing more.
  const begun = Buffer.from('16030100f8010000f40303', 'hex');
  while (performance.now() < ends) {
    for (let at = 0; at < maxConnections && performance.now() < ends; at += 1) {
      tries += 1;
      const socket = connectTcp({ ...order.device, localAddress: order.address }, () => socket.write(begun));
      socket.on('error', (error) => count(failureOf(error))).on('close', () => count('closed'));
      if (at % 100 === 0) await delay(10);
    }
  }
}

/** Whole handshakes, but for their last byte; then the last byte of all of them at once. */
async function heldHandshakes(maxConnections: number): Promise<void> {
  const hello = await clientHello();
  while (performance.now() < ends) {
    const sockets = Array.from({ length: maxConnections }, () => {
      tries += 1;
      const socket = connectTcp({ ...order.device, localAddress: order.address }, () =>
        socket.write(hello.subarray(0, -1)),
      );
      return socket.on('error', (error) => count(failureOf(error))).once('data', () => count('answered'));
    });
    await delay(300);
    for (const socket of sockets) if (socket.writable) socket.write(hello.subarray(-1));
    await delay(300);
    for (const socket of sockets) socket.destroy();
  }
}

/** The first bytes that a client of ours sends. */
async function clientHello(): Promise<Buffer> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server of the attack has no port');
  const client = connectTls({ ca: fleet.root, servername: fleet.serverName, host: '127.0.0.1', port: address.port });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  client.destroy();
  server.close();
  return bytes;
}

async function slowly(maxConnections: number): Promise<void> {
  const head =
    'POST /v1/enroll/challenge HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\ncontent-length: 60000\r\n\r\n{';
  for (let at = 0; at < maxConnections && performance.now() < ends; at += 1) {
    tries += 1;
    const socket = connectTls({ ...base, ...order.device }, () => {
      socket.write(head);
      const drip = setInterval(() => (socket.writable ? socket.write(' ') : clearInterval(drip)), 200);
    });
    socket.on('error', (error) => count(failureOf(error))).on('close', () => count('closed'));
    if (at % 25 === 0) await delay(60);
  }
  await delay(Math.max(0, ends - performance.now()));
}

// The second device of the fleet, with genuine evidence over long logs that differ each time.
async function device(): Promise<void> {
  const all = FleetDevice.all(fleet, order.device).slice(1, 2);
  await Promise.all(
    all.flatMap((each) =>
      Array.from({ length: 1 }, async () => {
        await each.connect();
        await each.bind();
        while (performance.now() < ends) {
          tries += 1;
          count(await each.attestAndRelease().then(() => '200', failureOf));
        }
      }),
    ),
  );
}

async function operator(): Promise<void> {
  const headers = { authorization: `Bearer ${order.attackToken}` };
  const filter = encodeURIComponent('reported.load>5,tags.site==a*,id==zz*');
  const paths = [
    `/v1/devices?filter=${filter}&limit=1000&sort=-seenAt`,
    '/v1/devices?limit=1000',
    '/v1/devices?limit=100',
    '/v1/audit?from=0&limit=1000',
    '/v1/leases?limit=1000',
    '/v1/certificates?limit=1000&state=ended',
    '/v1/expiry',
    '/openapi.json',
  ];
  let turn = 0;
  await many(16, (agent) => {
    const path = paths[(turn += 1) % paths.length];
    return post({ ...order.operator, agent, method: 'GET', path, headers });
  });
}
