import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import { z } from 'zod';
import { limitByAddress } from './limit-by-address.ts';

// SECURITY.md: DEV-95
test('one address has its part of the connections, another still gets in, and a closed one gives its place back', async () => {
  const server = createServer((socket) => void socket.on('error', () => undefined).write('x'));
  limitByAddress(server, 2);
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
