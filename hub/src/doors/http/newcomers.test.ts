import assert from 'node:assert/strict';
import { createServer, Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { queueNewcomers } from './newcomers.ts';

const limits = {
  begunEachTurn: 2,
  begunEachTurnByNetwork: 2,
  underWayByNetwork: 100,
  maxWaitMs: 60_000,
  maxWaiting: 5,
};

function queued(own: Partial<typeof limits> = {}, admits?: (address: string) => boolean) {
  const begun: Socket[] = [];
  const server = createServer((socket) => begun.push(socket));
  queueNewcomers(server, { ...limits, ...own }, admits === undefined ? {} : { admits });
  const arrive = (count: number, address?: string) =>
    Array.from({ length: count }, () => {
      const socket = new Socket();
      if (address !== undefined) Object.defineProperty(socket, 'remoteAddress', { value: address });
      server.emit('connection', socket);
      return socket;
    });
  return { begun, arrive };
}

// SECURITY.md: HUB-49
test('a limited number of handshakes begins in one turn of the event loop, the longest waiting first', async () => {
  const { begun, arrive } = queued();
  const sockets = arrive(5);
  assert.deepEqual(begun, sockets.slice(0, 2));
  await turn();
  assert.deepEqual(begun, sockets.slice(0, 4));
  // A new connection does not overtake those that wait.
  sockets.push(...arrive(1));
  await turn();
  assert.deepEqual(begun, sockets);
});

test('when nobody waits a connection begins at once, turn after turn', async () => {
  const { begun, arrive } = queued();
  for (let round = 1; round <= 3; round += 1) {
    arrive(2);
    assert.equal(begun.length, 2 * round);
    await turn();
    await turn();
  }
});

// SECURITY.md: HUB-49
test('a connection that waited longer than devices do is closed, and no handshake is begun for it', async () => {
  const { begun, arrive } = queued({ maxWaitMs: -1 });
  const sockets = arrive(4);
  await turn();
  assert.deepEqual(begun, sockets.slice(0, 2));
  assert.deepEqual(
    sockets.map(({ destroyed }) => destroyed),
    [false, false, true, true],
  );
});

test('with too many waiting the next is closed at once, and none of the others', async () => {
  const { begun, arrive } = queued();
  const sockets = arrive(9);
  const letGo = sockets.filter(({ destroyed }) => destroyed);
  assert.deepEqual(letGo, sockets.slice(7));
  for (let round = 0; round < 3; round += 1) await turn();
  assert.deepEqual(begun, sockets.slice(0, 7));
});

test('one that hangs up or fails while it waits leaves the queue', async () => {
  const { begun, arrive } = queued();
  const [first, second, third, fourth] = arrive(4);
  third?.destroy(new Error('connection reset'));
  await turn();
  await turn();
  assert.deepEqual(begun, [first, second, fourth]);
});

// SECURITY.md: HUB-41
test('one network that sends many takes no turn of another', async () => {
  const { begun, arrive } = queued({ begunEachTurnByNetwork: 1, maxWaiting: 100 });
  const many = arrive(50, '192.0.2.1');
  const [other] = arrive(1, '192.0.2.2');
  assert.deepEqual(begun, [many[0], other]);
  const more = arrive(3, '192.0.2.2');
  await turn();
  assert.deepEqual(begun.slice(2), [many[1], more[0]]);
});

test('a network has a bounded number of handshakes under way; the end of one begins the next', async () => {
  const { begun, arrive } = queued({ underWayByNetwork: 1 });
  // All addresses of one /64 are one network.
  const [first] = arrive(1, '2001:db8::1');
  const [second] = arrive(1, '2001:db8::2');
  const [elsewhere] = arrive(1, '2001:db8:0:1::1');
  await turn();
  assert.deepEqual(begun, [first, elsewhere]);
  first?.destroy();
  while (begun.length < 3) await turn();
  assert.deepEqual(begun, [first, elsewhere, second]);
});

test('an address that is not admitted is cut before its handshake', async () => {
  const { begun, arrive } = queued({}, (address) => address !== '192.0.2.1');
  const [refused, admitted] = [...arrive(1, '192.0.2.1'), ...arrive(1, '192.0.2.2')];
  assert.deepEqual(begun, [admitted]);
  assert.equal(refused?.destroyed, true);
});
