import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { z } from 'zod';
import { limitByNetwork } from './limit-by-network.ts';

// SECURITY.md: DEV-95
test('one address has its part of the connections, another still gets in, and a closed one gives its place back', async () => {
  const server = createServer((socket) => void socket.on('error', () => undefined).write('x'));
  limitByNetwork(server, 2);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = z.object({ port: z.number() }).parse(server.address());
  const from = (localAddress: string) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress });
    socket.on('error', () => undefined);
    return socket;
  };
  const held = [from('127.0.0.1'), from('127.0.0.1')];
  await Promise.all(held.map((socket) => once(socket, 'data')));
  const refused = from('127.0.0.1').resume();
  await once(refused, 'close');
  const other = from('127.0.0.2');
  await once(other, 'data');
  const [first] = held;
  assert.ok(first !== undefined);
  const left = new Promise<void>((resolve) => {
    const look = () => server.getConnections((_error, count) => (count === 2 ? resolve() : setImmediate(look)));
    look();
  });
  first.destroy();
  await left;
  const next = from('127.0.0.1');
  await once(next, 'data');
  for (const socket of [...held, other, next]) socket.destroy();
  server.close();
});

// SECURITY.md: DEV-95
test('a machine with the 2^64 addresses of its network has the part of one, and another network still gets in', () => {
  const server = new EventEmitter();
  limitByNetwork(server, 2);
  const from = (remoteAddress: string) => {
    const socket = Object.assign(new EventEmitter(), {
      remoteAddress,
      isRefused: false,
      destroy: () => void (socket.isRefused = true),
    });
    server.emit('connection', socket);
    return socket;
  };
  const [first, second, third] = ['2001:db8:7:8::1', '2001:db8:7:8::2', '2001:db8:7:8:9:a:b:c'].map(from);
  assert.deepEqual(
    [first, second, third].map((socket) => socket?.isRefused),
    [false, false, true],
  );
  assert.equal(from('2001:db8:7:9::1').isRefused, false);
  // A socket that listens for both families writes IPv4 so.
  assert.deepEqual(
    ['::ffff:192.0.2.1', '192.0.2.1', '::ffff:192.0.2.1'].map((address) => from(address).isRefused),
    [false, false, true],
  );
  first?.emit('close');
  assert.equal(from('2001:db8:7:8::3').isRefused, false);
});
