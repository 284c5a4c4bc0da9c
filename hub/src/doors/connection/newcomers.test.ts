import assert from 'node:assert/strict';
import { once } from 'node:events';
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

/** `handshakeMs`: how long each beginning takes by the clock of the queue. */
function queued(own: Partial<typeof limits> = {}, admits?: (address: string) => boolean, handshakeMs = 0) {
  const begun: Socket[] = [];
  const rests: { readonly milliseconds: number; readonly end: () => void }[] = [];
  let nowMs = 0;
  const server = createServer((socket) => {
    begun.push(socket);
    nowMs += handshakeMs;
  });
  queueNewcomers(server, { ...limits, ...own }, admits === undefined ? {} : { admits }, {
    now: () => nowMs,
    after: (milliseconds, end) => rests.push({ milliseconds, end }),
  });
  const arrive = (count: number, address?: string, isSilent = false) =>
    Array.from({ length: count }, () => {
      const socket = new Socket();
      if (address !== undefined) Object.defineProperty(socket, 'remoteAddress', { value: address });
      server.emit('connection', socket);
      // Other bytes than a ClientHello do not wait for more.
      if (!isSilent) socket.push('GET / HTTP/1.1');
      return socket;
    });
  return { begun, arrive, rests };
}

/** Long enough for the bytes of a connection to be read and for a turn of the queue after it. */
async function turns(count = 4): Promise<void> {
  for (let at = 0; at < count; at += 1) await turn();
}

// SECURITY.md: HUB-49
test('a limited number of handshakes begins in one turn of the event loop, the longest waiting first', async () => {
  const { begun, arrive } = queued();
  const sockets = arrive(5);
  const counts = new Set<number>();
  // A new connection does not overtake those that wait.
  while (begun.length < 5) {
    counts.add(begun.length);
    await turn();
  }
  assert.deepEqual([...counts], [0, 2, 4]);
  sockets.push(...arrive(1));
  await turns();
  assert.deepEqual(begun, sockets);
});

// SECURITY.md: HUB-49
test('after a turn with work the queue rests as long as it took, so that others have half of the event loop', async () => {
  const { begun, arrive, rests } = queued({}, undefined, 3);
  const sockets = arrive(3);
  await turns(20);
  assert.deepEqual(begun, sockets.slice(0, 2));
  assert.deepEqual(
    rests.map(({ milliseconds }) => milliseconds),
    [6],
  );
  // One that comes meanwhile waits as well.
  sockets.push(...arrive(1));
  await turns(20);
  assert.equal(begun.length, 2);
  rests[0]?.end();
  await turns();
  assert.deepEqual(begun, sockets);
});

// SECURITY.md: HUB-49
test('a connection begins when its whole ClientHello has come, and not before', async () => {
  const { begun, arrive } = queued();
  const [held] = arrive(1, '192.0.2.1', true);
  const [sent] = arrive(1, '192.0.2.1');
  held?.push(Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1]));
  await turns();
  assert.deepEqual(begun, [sent]);
  held?.push(Buffer.from([7]));
  await turns();
  assert.deepEqual(begun, [sent, held]);
  assert.deepEqual(held?.read(), Buffer.from([22, 3, 1, 0, 5, 1, 0, 0, 1, 7]));
});

// SECURITY.md: HUB-49
test('a connection that waited longer than devices do is closed, and no handshake is begun for it', async () => {
  const { begun, arrive } = queued({ maxWaitMs: -1, begunEachTurn: 0 });
  const sockets = [...arrive(2), ...arrive(2, '192.0.2.1', true)];
  const closed = sockets.map((socket) => once(socket, 'close'));
  await Promise.all(closed);
  assert.deepEqual(begun, []);
});

test('with too many waiting the next is closed at once, and none of the others', async () => {
  const { begun, arrive } = queued();
  const sockets = arrive(9);
  const letGo = sockets.filter(({ destroyed }) => destroyed);
  assert.deepEqual(letGo, sockets.slice(5));
  await turns(8);
  assert.deepEqual(begun, sockets.slice(0, 5));
});

// SECURITY.md: HUB-41
test('with too many waiting the network with the most loses its longest silent one', async () => {
  const { begun, arrive } = queued();
  const many = [...arrive(2, '192.0.2.1'), ...arrive(3, '192.0.2.1', true)];
  const [other] = arrive(1, '192.0.2.2');
  assert.deepEqual(
    many.map(({ destroyed }) => destroyed),
    [true, false, false, false, false],
  );
  await turns();
  assert.deepEqual(begun, [many[1], other]);
});

test('one that hangs up or fails while it waits leaves the queue', async () => {
  const { begun, arrive } = queued();
  const [first, second, third, fourth] = arrive(4);
  third?.destroy(new Error('connection reset'));
  await turns(6);
  assert.deepEqual(begun, [first, second, fourth]);
});

// SECURITY.md: HUB-41
test('one network that sends many takes no turn of another', async () => {
  const { begun, arrive } = queued({ begunEachTurnByNetwork: 1, maxWaiting: 100 });
  const many = arrive(50, '192.0.2.1');
  const [other, another] = arrive(2, '192.0.2.2');
  while (begun.length < 4) await turn();
  assert.deepEqual(begun.slice(0, 4), [many[0], other, many[1], another]);
});

test('a network has a bounded number of handshakes under way; the end of one begins the next', async () => {
  const { begun, arrive } = queued({ underWayByNetwork: 1 });
  // All addresses of one /64 are one network.
  const [first] = arrive(1, '2001:db8::1');
  const [second] = arrive(1, '2001:db8::2');
  const [elsewhere] = arrive(1, '2001:db8:0:1::1');
  await turns();
  assert.deepEqual(begun, [first, elsewhere]);
  first?.destroy();
  while (begun.length < 3) await turn();
  assert.deepEqual(begun, [first, elsewhere, second]);
});

test('an address that is not admitted is cut before its handshake', async () => {
  const { begun, arrive } = queued({}, (address) => address !== '192.0.2.1');
  const [refused, admitted] = [...arrive(1, '192.0.2.1'), ...arrive(1, '192.0.2.2')];
  assert.equal(refused?.destroyed, true);
  await turns();
  assert.deepEqual(begun, [admitted]);
});
