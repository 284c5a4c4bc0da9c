// Blocked addresses as an operator sees them: cut at once, refused before the handshake, audited, expiring, kept over a restart.
import assert from 'node:assert/strict';
import { connect as connectTcp } from 'node:net';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { blockedAddress, blockedAddressList } from '@edgekeep/wire/api/address';
import { assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(async () => {
  await world[Symbol.asyncDispose]();
});

async function connectFrom(localAddress: string, listener: 'deviceAddress' | 'operatorAddress' = 'deviceAddress') {
  const { host, port } = world.hub[listener];
  const raw = connectTcp({ host, port, localAddress });
  const socket = connect({ socket: raw, ca: world.hub.rootPem, servername: 'localhost' });
  const ended = new Promise<'cut'>((resolve) => {
    raw.on('error', () => {});
    socket.on('error', () => {}).once('close', () => resolve('cut'));
  });
  const connected = new Promise<'connected'>((resolve) => socket.once('secureConnect', () => resolve('connected')));
  const outcome = await Promise.race([connected, ended]);
  return { outcome, ended, [Symbol.dispose]: () => void socket.destroy() };
}

const block = (network: string, seconds = 3_600) =>
  world.operator.send('POST', '/v1/blocked-addresses', { network, reason: 'a test', seconds }, blockedAddress);

// SECURITY.md: HUB-45
test('a blocked address is cut at once and refused before the handshake, on both listeners; others are not', async () => {
  using open = await connectFrom('127.0.0.41');
  using other = await connectFrom('127.0.0.42');
  assert.equal(open.outcome, 'connected');
  const { network } = await block('127.0.0.41');
  assert.equal(network, '127.0.0.41/32');
  assert.equal(await open.ended, 'cut');
  for (const listener of ['deviceAddress', 'operatorAddress'] as const) {
    using refused = await connectFrom('127.0.0.41', listener);
    assert.equal(refused.outcome, 'cut');
    using admitted = await connectFrom('127.0.0.42', listener);
    assert.equal(admitted.outcome, 'connected');
  }
  assert.equal(other.outcome, 'connected');
  const entries = await world.entries('address-blocked');
  assert.equal(entries.at(-1)?.subject, 'address:127.0.0.41/32');
});

test('a block outlasts a restart, and ends when it is taken back or its time is over', async () => {
  await block('127.0.0.43');
  await block('127.0.0.44', 60);
  await world.restart();
  for (const address of ['127.0.0.43', '127.0.0.44']) {
    using refused = await connectFrom(address);
    assert.equal(refused.outcome, 'cut');
  }
  const order = { network: '127.0.0.43/32', reason: 'a mistake' };
  const token = await world.adminToken();
  const path = '/v1/blocked-addresses/unblock';
  const answer = await world.askOperator('POST', path, { token, body: JSON.stringify(order) });
  assert.equal(answer.status, 200);
  world.clock.advanceSeconds(61);
  for (const address of ['127.0.0.43', '127.0.0.44']) {
    using admitted = await connectFrom(address);
    assert.equal(admitted.outcome, 'connected', address);
  }
  const { blocked } = await world.operator.get('/v1/blocked-addresses', blockedAddressList);
  assert.ok(
    blocked.every(({ network }) => network === '127.0.0.41/32'),
    JSON.stringify(blocked),
  );
});

test('an order that would cut off its own sender, or a continent, is refused', async () => {
  const token = await world.adminToken();
  const ask = (network: string) =>
    world.askOperator('POST', '/v1/blocked-addresses', { token, body: JSON.stringify({ network, reason: 'x' }) });
  assertRefused(await ask('127.0.0.0/8'), { status: 409, code: 'conflict', says: /your own address/ });
  assertRefused(await ask('0.0.0.0/0'), { status: 400, code: 'request-invalid' });
});
