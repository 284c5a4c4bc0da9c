import assert from 'node:assert/strict';
import { createServer, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { BalancedConnections } from './balanced.ts';

const header = Buffer.from('0d0a0d0a000d0a515549540a2111000cc00002070a000001c00120fb', 'hex');
const balancer = '10.0.0.5';

function opened(t: TestContext) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const noted: string[] = [];
  const connections = new BalancedConnections({
    listener: 'device',
    balancers: {
      has: (_, address) => address === balancer,
      note: (_, from, outcome) => noted.push(`${from} ${outcome}`),
    },
    onRefused: () => {},
  });
  const arrive = (address: string | undefined) => {
    const socket = new Socket();
    const own = { configurable: true, value: address };
    Object.defineProperties(socket, { remoteAddress: own, remotePort: { configurable: true, value: 7 } });
    let isNext = false;
    connections.receive(socket, () => (isNext = true));
    t.after(() => socket.destroy());
    return { socket, next: () => isNext };
  };
  return { noted, connections, arrive, tick: (milliseconds: number) => t.mock.timers.tick(milliseconds) };
}

test('a header in pieces gives the address, and the client’s bytes stay', async (t) => {
  const { noted, arrive } = opened(t);
  const { socket, next } = arrive(balancer);
  for (let at = 0; at < header.length; at += 4) {
    assert.equal(next(), false);
    socket.push(header.subarray(at, at + 4));
    await turn();
  }
  assert.equal(next(), true);
  socket.push('client');
  await turn();
  const { remoteAddress, remotePort, remoteFamily } = socket;
  assert.deepEqual([remoteAddress, remotePort, remoteFamily], ['192.0.2.7', 0xc001, 'IPv4']);
  assert.equal(String(socket.read()), 'client');
  const together = arrive(balancer);
  together.socket.push(Buffer.concat([header, Buffer.from('client')]));
  await turn();
  assert.equal(String(together.socket.read()), 'client');
  assert.deepEqual(noted, [`${balancer} client`, `${balancer} client`]);
});

test('a connection of anybody else, and one that was reset already, wait for nothing', (t) => {
  const { noted, arrive } = opened(t);
  const direct = arrive('192.0.2.1');
  assert.equal(direct.next(), true);
  assert.equal(direct.socket.remoteAddress, '192.0.2.1');
  const reset = arrive(undefined);
  assert.deepEqual([reset.next(), reset.socket.destroyed], [false, true]);
  assert.deepEqual(noted, []);
});

// SECURITY.md: NET-18
test('a TLS session has the address of its header, or none: a port that a balancer takes again is not another’s', async (t) => {
  const { connections, arrive } = opened(t);
  const server = createServer();
  connections.follow(server);
  const session = () => {
    const socket = new Socket();
    Object.defineProperties(socket, {
      remoteAddress: { configurable: true, value: balancer },
      remotePort: { configurable: true, value: 7 },
    });
    server.emit('secureConnection', socket);
    return [socket.destroyed, socket.remoteAddress];
  };
  const former = arrive(balancer).socket;
  former.push(header);
  await turn();
  assert.deepEqual(session(), [false, '192.0.2.7']);
  // It was reset, which this hub reads later than the next connection from the same port.
  const next = arrive(balancer).socket;
  next.push(header);
  await turn();
  former.destroy();
  await turn();
  assert.deepEqual(session(), [false, '192.0.2.7']);
  next.destroy();
  await turn();
  assert.deepEqual(session(), [true, balancer]);
  const own = arrive(balancer).socket;
  own.push(Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'));
  await turn();
  assert.deepEqual(session(), [false, balancer]);
});

test('a header that does not come in five seconds ends the connection', async (t) => {
  const { noted, arrive, tick } = opened(t);
  const [silent, slow, whole] = [arrive(balancer), arrive(balancer), arrive(balancer)];
  slow.socket.push(header.subarray(0, 20));
  whole.socket.push(header);
  await turn();
  tick(4_999);
  assert.equal(silent.socket.destroyed, false);
  tick(1);
  assert.deepEqual(
    [silent, slow, whole].map(({ socket }) => socket.destroyed),
    [true, true, false],
  );
  assert.deepEqual(noted, [`${balancer} client`, `${balancer} late`, `${balancer} late`]);
});

// SECURITY.md: NET-18
test('clients who stay silent behind a balancer take no place of those who come later', (t) => {
  const { noted, arrive } = opened(t);
  const silent = Array.from({ length: 4_097 }, () => arrive(balancer).socket);
  assert.deepEqual([silent[0]?.destroyed, silent[1]?.destroyed, silent.at(-1)?.destroyed], [true, false, false]);
  assert.deepEqual(noted, [`${balancer} crowded`]);
});
