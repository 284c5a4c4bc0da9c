import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, Socket } from 'node:net';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { setImmediate as turn } from 'node:timers/promises';
import { whenHelloIsWhole } from './client-hello.ts';

/** The first bytes that Node's own client sends. */
async function realHello(): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const client = connect({ port: address.port, host: '127.0.0.1', servername: 'hub.example' });
  client.on('error', () => {});
  const [socket] = await once(server, 'connection');
  const [bytes] = await once(socket, 'data');
  client.destroy();
  socket.destroy();
  server.close();
  return bytes;
}

/** Whether a connection with these first bytes may begin. */
async function isWhole(...pieces: readonly Uint8Array[]): Promise<boolean> {
  const socket = new Socket();
  let whole = false;
  const foreign: Uint8Array[] = [];
  whenHelloIsWhole(
    socket,
    () => (whole = true),
    (bytes) => foreign.push(bytes),
  );
  for (const piece of pieces) {
    socket.push(piece);
    await turn();
  }
  if (whole) assert.deepEqual(socket.read(), Buffer.concat(pieces));
  socket.destroy();
  assert.equal(foreign.length, whole && pieces[0]?.[0] !== 22 ? 1 : 0);
  return whole;
}

/** The same message in records of `size` bytes. */
function inRecords(hello: Buffer, size: number): Buffer {
  const message = hello.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(Buffer.from([22, 3, 1, part.length >> 8, part.length & 255]), part);
  }
  return Buffer.concat(records);
}

test('a ClientHello is whole with its last byte and not before, in one record or in several', async () => {
  const hello = await realHello();
  for (const bytes of [hello, inRecords(hello, 100), inRecords(hello, 3)]) {
    assert.equal(await isWhole(bytes), true);
    assert.equal(await isWhole(bytes.subarray(0, 7), bytes.subarray(7)), true);
    for (let length = 0; length < bytes.length; length += length < 20 || length > bytes.length - 20 ? 1 : 13)
      assert.equal(await isWhole(bytes.subarray(0, length)), false, `${length} of ${bytes.length} bytes`);
  }
});

test('other messages, and one that is too large, do not wait', async () => {
  assert.equal(await isWhole(Buffer.from('GET / HTTP/1.1\r\n')), true);
  assert.equal(await isWhole(Buffer.from([21, 3, 1, 0, 2, 1, 0])), true);
  // A Finished message, and an endless ClientHello.
  assert.equal(await isWhole(Buffer.from([22, 3, 1, 0, 36, 20])), true);
  const endless = Buffer.alloc(16_384, 0);
  endless.set([22, 3, 1, 0x40, 0, 1, 255, 255, 255]);
  assert.equal(await isWhole(endless.subarray(0, -1)), false);
  assert.equal(await isWhole(endless), true);
});
