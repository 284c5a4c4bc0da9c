import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { newcomerLimits, queueNewcomers } from '../connection/newcomers.ts';
import { endConnectionsOnClose } from './open-connections.ts';
import { createServer } from './server.ts';

// Far less than the two minutes that Node gives a handshake.
const timeout = 100_000;

async function open(prepare: (app: ReturnType<typeof createServer>) => void) {
  const app = createServer({}, 'silent', 'device');
  prepare(app);
  endConnectionsOnClose(app);
  await app.listen({ host: '127.0.0.1', port: 0 });
  const address = app.server.address();
  assert.ok(address !== null && typeof address === 'object');
  return { app, address };
}

async function silentClient({ port, address }: AddressInfo): Promise<Socket> {
  const socket = connect(port, address).on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

/** In any state. */
function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    socket.on('error', () => undefined).once('close', () => resolve());
  });
}

test('a client in the middle of its handshake does not keep a listener from closing', { timeout }, async () => {
  const { app, address } = await open(() => undefined);
  const accepted = once(app.server, 'connection');
  const client = await silentClient(address);
  await accepted;
  const end = closed(client);
  await app.close();
  await end;
});

test('nor does one that still waits for its turn, or comes while the listener closes', { timeout }, async () => {
  const { app, address } = await open(({ server }) =>
    queueNewcomers(server, { ...newcomerLimits, begunEachTurn: 0, maxWaitMs: 60_000 }),
  );
  const accepted = once(app.server, 'connection');
  const waiting = await silentClient(address);
  await accepted;
  const late = connect(address.port, address.address);
  const ends = [waiting, late].map(closed);
  await app.close();
  await Promise.all(ends);
});
