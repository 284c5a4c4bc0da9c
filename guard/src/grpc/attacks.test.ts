// What an application may send over gRPC to end the guard or to fill its memory, as bytes that no client's library would write.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { z } from 'zod';
import { ask } from '../fixtures/client.ts';
import { serve, type Served, settings } from '../fixtures/serve.ts';
import { frame } from './frames.ts';
import { parseInferRequest } from './messages.ts';
import { GrpcServer } from './server.ts';
import { BODIES_BYTES_MAX } from '../limits.ts';
import { ProtobufWriter } from '../protobuf.ts';

const megabyte = 1_000_000;
const frameTypes = { headers: 1, reset: 3, settings: 4, ping: 6 } as const;
const endOfHeaders = 4;
const inferRequest = new ProtobufWriter().text(1, 'light').bytes(7, Buffer.alloc(1_000)).end();
const preface = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  http2Frame('settings', 0, Buffer.of()),
]);

/** RFC 9113 section 4.1. */
function http2Frame(type: keyof typeof frameTypes, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = frameTypes[type];
  head[4] = type === 'headers' ? endOfHeaders : 0;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Literal fields without indexing (RFC 7541 section 6.2.2). */
function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const literal = (text: string) => [Buffer.of(text.length), Buffer.from(text)];
  return Buffer.concat(
    Object.entries(fields).flatMap(([name, value]) => [Buffer.of(0), ...literal(name), ...literal(value)]),
  );
}

function call(session: ClientHttp2Session, method: string) {
  const path = `/inference.GRPCInferenceService/${method}`;
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
  stream.on('error', () => undefined);
  return stream;
}

function client({ socketPath }: Served, initialWindowSize = 65_535): ClientHttp2Session & Disposable {
  const session = connectHttp2('http://localhost', {
    createConnection: () => connect(socketPath),
    settings: { initialWindowSize },
  });
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await turn();
}

/** Whether nothing is held of the memory that requests share. */
function isFree({ service }: Served): boolean {
  using share = service.bodies.share();
  try {
    share.take(BODIES_BYTES_MAX);
    return true;
  } catch {
    return false;
  }
}

const COLLECTIONS_MAX = 50;

function memoryAfterCollection(): { heap: number; buffers: number } {
  setFlagsFromString('--expose-gc');
  z.custom<() => void>().parse(runInNewContext('gc'))();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return { heap: heapUsed, buffers: arrayBuffers };
}

// SECURITY.md: DEV-33
test('a call that is ended with the bytes that began it does not end the guard', async () => {
  await using served = await serve('primary', { settings });
  const socket = connect(served.socketPath);
  const fields = (type: string) =>
    headerBlock({
      ':method': 'POST',
      ':scheme': 'http',
      ':path': '/',
      ':authority': 'localhost',
      'content-type': type,
    });
  const calls = ['text/plain', 'application/grpc'].flatMap((type, at) => [
    http2Frame('headers', 2 * at + 1, fields(type)),
    http2Frame('reset', 2 * at + 1, Buffer.of(0, 0, 0, 8)),
  ]);
  socket.write(Buffer.concat([preface, ...calls, http2Frame('ping', 0, Buffer.alloc(8))]));
  await once(socket, 'data');
  assert.equal((await ask(served.socketPath, 'GET', '/v2/health/live')).status, 200);
  socket.destroy();
});

// SECURITY.md: DEV-33
test('a stream of many messages keeps none of them', async () => {
  await using served = await serve('primary', { settings });
  using session = client(served);
  const stream = call(session, 'ModelStreamInfer');
  const message = frame(Buffer.alloc(megabyte, 0xff));
  const before = memoryAfterCollection().buffers;
  for (let sent = 0; sent < 100; sent += 1) {
    stream.write(message);
    await once(stream, 'data');
  }
  // Another thread frees the buffers of a collection: on a busy machine it may be late.
  let kept = Infinity;
  for (let times = 0; times < COLLECTIONS_MAX && kept >= 50 * megabyte; times += 1) {
    kept = memoryAfterCollection().buffers - before;
    await turn();
  }
  assert.ok(kept < 50 * megabyte, `${kept} bytes after 100 messages of ${megabyte}`);
});

// SECURITY.md: DEV-33
test('a client that does not read its answer holds no memory of requests', async (context) => {
  await using served = await serve('primary', { settings });
  using session = client(served, 0);
  const { mock } = context.mock.method(served.service, 'answer', () => Promise.resolve(new Uint8Array(megabyte)));
  call(session, 'ModelStreamInfer').write(frame(inferRequest));
  await until(() => mock.callCount() === 1);
  // The answer is on its way.
  await turn();
  assert.ok(isFree(served));
});

// SECURITY.md: DEV-33
test('a call that was ended holds its memory until nobody computes with it', async (context) => {
  await using served = await serve('primary', { settings });
  using session = client(served);
  const gate = Promise.withResolvers<never>();
  context.mock.method(served.service, 'answer', () => gate.promise);
  const stream = call(session, 'ModelInfer');
  stream.end(frame(inferRequest));
  await until(() => !isFree(served));
  stream.close();
  await once(stream, 'close');
  await ask(served.socketPath, 'GET', '/v2/health/live');
  assert.equal(isFree(served), false);
  gate.reject(new Error('the test opens the gate'));
  await until(() => isFree(served));
});

// SECURITY.md: DEV-33
test('typed contents are not made objects before they are counted', () => {
  const request = (pieces: readonly Uint8Array[], shape: readonly number[]) => {
    const tensor = new ProtobufWriter().text(1, 'words').packed(3, shape);
    for (const piece of pieces) tensor.bytes(5, piece);
    return new ProtobufWriter().bytes(5, tensor.end()).end();
  };
  const empties = Buffer.alloc(2 * megabyte, Buffer.of(0x42, 0));
  const before = memoryAfterCollection().heap;
  const parsed = parseInferRequest(request([empties], []));
  const kept = memoryAfterCollection().heap - before;
  assert.equal(parsed.inputs.length, 1);
  assert.ok(kept < 20 * megabyte, `${kept} bytes for ${empties.length}`);
  assert.throws(
    () =>
      parseInferRequest(
        request(
          Array.from({ length: 100 }, () => Buffer.of()),
          [],
        ),
      ),
    /too many pieces/,
  );
  assert.throws(
    () =>
      parseInferRequest(
        request(
          [],
          Array.from({ length: megabyte }, () => 1),
        ),
      ),
    /dimensions/,
  );
});

// SECURITY.md: DEV-33
test('a connection whose client does not read ends, like any other without progress', async () => {
  await using served = await serve('primary', { settings });
  using grpc = new GrpcServer(served.service, 100);
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-guard-test-'));
  const closed = Promise.withResolvers<void>();
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('close', () => closed.resolve());
    grpc.accept(socket, 'local');
  }).listen(join(folder, 'guard.sock'));
  await once(listener, 'listening');
  const socket = connect(join(folder, 'guard.sock')).pause();
  socket.on('error', () => undefined);
  socket.write(preface);
  // Until the answers fill every buffer on their way. More at once would be a flood, which is another defense.
  const pings = Buffer.concat(Array.from({ length: 900 }, () => http2Frame('ping', 0, Buffer.alloc(8))));
  const asking = setInterval(() => socket.writableLength === 0 && socket.write(pings), 1);
  await closed.promise;
  clearInterval(asking);
  socket.destroy();
  listener.close();
  rmSync(folder, { recursive: true });
});
