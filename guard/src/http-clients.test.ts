// The requests of public clients of the protocol, as their sources build them (tritonclient for Python over HTTP), and what HTTP clients in
// general expect: compressed bodies, and a refusal that arrives although the body was still on its way.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { request } from 'node:http';
import { test } from 'node:test';
import { deflateSync, gunzipSync, gzipSync, inflateSync } from 'node:zlib';
import { z } from 'zod';
import { ask, sendRaw } from './fixtures/client.ts';
import { flatImage, serve, settings } from './fixtures/serve.ts';
import { BODY_BYTES_MAX, DISCARDED_BYTES_MAX } from './limits.ts';

const infer = '/v2/models/light/infer';

/** InferInput.set_data_from_numpy of object arrays: the length of each text in four bytes, then the text. */
function bytesTensor(...texts: readonly string[]): Buffer {
  return Buffer.concat(
    texts.map((text) => {
      const bytes = Buffer.alloc(4 + Buffer.byteLength(text));
      bytes.writeUInt32LE(Buffer.byteLength(text));
      bytes.write(text, 4);
      return bytes;
    }),
  );
}

/** One request as geventhttpclient writes it, and the answer up to the end of the connection. */
async function geventRequest(socketPath: string, json: string, tail: Buffer): Promise<Buffer> {
  const head = [
    `POST ${infer} HTTP/1.1`,
    'User-Agent: python/gevent-http-client-2.3.1',
    'Content-Type: application/octet-stream',
    'Host: localhost:8000',
    'Connection: close',
    `Inference-Header-Content-Length: ${json.length}`,
    `Content-Length: ${json.length + tail.length}`,
    '',
    '',
  ].join('\r\n');
  return Buffer.from(await sendRaw(socketPath, Buffer.concat([Buffer.from(head + json), tail]), false), 'latin1');
}

test('tritonclient’s default request gets its BYTES back as binary data', async () => {
  await using served = await serve('words');
  const tail = bytesTensor('grün', 'blau');
  const json =
    '{"inputs":[{"name":"german","shape":[2],"datatype":"BYTES","parameters":{"binary_data_size":17}}],' +
    '"parameters":{"binary_data_output":true}}';
  assert.equal(tail.length, 17);
  const answer = await geventRequest(served.socketPath, json, tail);
  const [head = '', ...rest] = answer.toString('latin1').split('\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  const length = Number(/^Inference-Header-Content-Length: (\d+)$/m.exec(head)?.[1]);
  const body = Buffer.from(rest.join('\r\n\r\n'), 'latin1');
  assert.match(body.subarray(0, length).toString(), /"datatype":"BYTES","parameters":\{"binary_data_size":17\}/);
  assert.deepEqual(body.subarray(length), bytesTensor('green', 'blue'));
});

test('tritonclient’s other calls are answered, or refused in the protocol’s error envelope', async () => {
  await using served = await serve('primary', { settings });
  const call = async (method: string, path: string, body?: string) => ask(served.socketPath, method, path, body);
  const answered = [
    ['GET', '/v2/health/live'],
    ['GET', '/v2/health/ready?x=1'],
    ['GET', '/v2/models/light/ready'],
    ['GET', '/v2'],
    ['GET', '/v2/models/light'],
    ['GET', '/v2/models/light/versions/1.0.0/config'],
    ['GET', '/v2/models/light/stats'],
    ['GET', '/v2/models/stats'],
  ] as const;
  for (const [method, path] of answered) assert.equal((await call(method, path)).status, 200, path);
  const refused = [
    ['POST', '/v2/repository/models/light/load', '{}'],
    ['POST', '/v2/repository/models/light/unload', '{"parameters":{"unload_dependents":false}}'],
    ['GET', '/v2/systemsharedmemory/status'],
    ['POST', '/v2/cudasharedmemory/region/r/register', '{}'],
    ['GET', '/v2/models/light/trace/setting'],
    ['POST', '/v2/trace/setting', '{"trace_level":["OFF"]}'],
    ['GET', '/v2/logging'],
    ['POST', '/v2/models/light/generate', '{}'],
  ] as const;
  for (const [method, path, body] of refused) {
    const { status, body: answer } = await call(method, path, body);
    assert.equal(status, 501, path);
    assert.match(answer.error ?? '', /^not-offered: /);
  }
});

test('the index of the repository has the one model', async () => {
  await using served = await serve('primary', { settings });
  const { status, text } = await exchange(served.socketPath, { path: '/v2/repository/index', body: Buffer.alloc(0) });
  assert.equal(status, 200);
  assert.deepEqual(JSON.parse(text), [{ name: 'light', version: '1.0.0', state: 'READY', reason: '' }]);
});

test('the configuration names every tensor as clients of the configuration extension read it', async () => {
  await using served = await serve('words');
  const { body } = await ask(served.socketPath, 'GET', '/v2/models/light/config');
  assert.deepEqual(body, {
    name: 'light',
    platform: 'onnxruntime_onnx',
    backend: 'onnxruntime',
    max_batch_size: 0,
    input: [{ name: 'german', data_type: 'TYPE_STRING', dims: [-1] }],
    output: [{ name: 'english', data_type: 'TYPE_STRING', dims: [-1] }],
  });
});

test('the statistics count answers, images and failures', async () => {
  await using served = await serve('primary', { settings });
  await ask(served.socketPath, 'POST', infer, image(0.7, 0.3));
  await ask(served.socketPath, 'POST', infer, '{');
  const totals = served.service.timings.read();
  assert.deepEqual([totals.executions, totals.inferences, totals.success.count, totals.fail.count], [1, 2, 1, 1]);
  assert.ok(totals.infer.ns > 0);
});

for (const [encoding, pack] of [
  ['gzip', gzipSync],
  ['deflate', deflateSync],
] as const) {
  test(`a body in ${encoding} is read, and the answer is packed for a client that asks`, async () => {
    await using served = await serve('primary', { settings });
    const many = Array.from({ length: 40 }, () => 0.75);
    const body = pack(image(...many));
    const headers = { 'Content-Encoding': encoding, 'Accept-Encoding': encoding };
    const answer = await exchange(served.socketPath, { path: infer, body, headers });
    assert.equal(answer.status, 200);
    assert.equal(answer.encoding, encoding);
    const text = (encoding === 'gzip' ? gunzipSync : inflateSync)(answer.bytes).toString();
    assert.match(text, /"verdict":"accepted"/);
  });
}

test('an answer is packed by the quality that the client names, and else sent as it is', async () => {
  await using served = await serve('primary', { settings });
  const many = Array.from({ length: 40 }, () => 0.75);
  for (const [accept, encoding] of [
    [undefined, undefined],
    ['identity', undefined],
    ['br, zstd', undefined],
    ['gzip;q=0', undefined],
    ['gzip;q=0.5, deflate', 'deflate'],
    ['GZIP, deflate', 'gzip'],
  ] as const) {
    const headers: Record<string, string> = accept === undefined ? {} : { 'Accept-Encoding': accept };
    const answer = await exchange(served.socketPath, { path: infer, body: Buffer.from(image(...many)), headers });
    assert.equal(answer.encoding, encoding, accept);
  }
});

// SECURITY.md: DEV-33
test('a body that grows beyond the limit when it is unpacked is refused, and the server keeps answering', async () => {
  await using served = await serve('primary', { settings });
  const body = gzipSync(Buffer.alloc(BODY_BYTES_MAX + 1));
  assert.ok(body.length < 100_000);
  const answer = await exchange(served.socketPath, { path: infer, body, headers: { 'Content-Encoding': 'gzip' } });
  assert.equal(answer.status, 413);
  assert.equal((await ask(served.socketPath, 'POST', infer, image(0.75))).status, 200);
});

test('a body that is not what its encoding says is refused by name', async () => {
  await using served = await serve('primary', { settings });
  for (const [encoding, body, status] of [
    ['gzip', Buffer.from('{}'), 400],
    ['deflate', deflateSync(image(0.7)).subarray(0, -6), 400],
    ['br', Buffer.from('{}'), 415],
    ['gzip, gzip', Buffer.from('{}'), 415],
  ] as const) {
    const answer = await exchange(served.socketPath, { path: infer, body, headers: { 'Content-Encoding': encoding } });
    assert.equal(answer.status, status, encoding);
  }
});

test('a client that sends all before it reads gets the refusal, and the connection stays for the next request', async () => {
  await using served = await serve('primary', { settings });
  const body = Buffer.alloc(BODY_BYTES_MAX + 1_000_000, 0x20);
  for (const [path, status] of [
    ['/v2/models/other/infer', 404],
    ['/nothing', 404],
    [infer, 413],
  ] as const) {
    const answer = await exchange(served.socketPath, { path, body });
    assert.deepEqual([answer.status, answer.connection], [status, 'keep-alive'], path);
  }
});

test('a refused body beyond what is thrown away is not read', async () => {
  await using served = await serve('primary', { settings });
  const head = `POST /nothing HTTP/1.1\r\nHost: guard\r\nContent-Length: ${DISCARDED_BYTES_MAX + 1}\r\n\r\n`;
  const answer = await sendRaw(served.socketPath, head, false);
  assert.match(answer, /^HTTP\/1\.1 404 [^]*connection: close/i);
});

test('a request whose first bytes come one by one is read, and a client that ends before it says anything is closed', async () => {
  await using served = await serve('primary', { settings });
  const socket = connect(served.socketPath);
  const closed = once(socket, 'close');
  for (const byte of 'POST /v2 HTTP/1.1\r\nHost: guard\r\nConnection: close\r\n\r\n') socket.write(byte);
  const [answer] = z
    .tuple([z.instanceof(Buffer)])
    .rest(z.unknown())
    .parse(await once(socket, 'data'));
  assert.match(answer.toString(), /^HTTP\/1\.1 405 /);
  await closed;
  const silent = connect({ path: served.socketPath, allowHalfOpen: true });
  silent.end('PR');
  silent.resume();
  await once(silent, 'end');
  silent.destroy();
});

test('a client that goes away in the middle of its packed body leaves nothing behind', async () => {
  await using served = await serve('primary', { settings });
  const socket = connect(served.socketPath);
  socket.on('error', () => undefined);
  const head = `POST ${infer} HTTP/1.1\r\nHost: guard\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n`;
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(Buffer.concat([Buffer.from(head), gzipSync(image(0.7)).subarray(0, 20)]), () => socket.destroy());
  await closed;
  assert.equal((await ask(served.socketPath, 'POST', infer, image(0.75))).status, 200);
});

function image(...brightness: readonly number[]): string {
  const data = brightness.flatMap((value) => flatImage(value));
  return JSON.stringify({
    inputs: [{ name: 'image', shape: [brightness.length, 1, 8, 8], datatype: 'FP32', data }],
    outputs: [{ name: 'scores' }],
  });
}

async function exchange(
  socketPath: string,
  { path, body, headers = {} }: { path: string; body: Uint8Array; headers?: Readonly<Record<string, string>> },
) {
  const { promise, resolve, reject } = Promise.withResolvers<{
    readonly status: number | undefined;
    readonly encoding: string | undefined;
    readonly connection: string | undefined;
    readonly bytes: Buffer;
    readonly text: string;
  }>();
  const sent = request({ socketPath, method: 'POST', path, headers: { Connection: 'keep-alive', ...headers } });
  sent.once('error', reject);
  sent.once('response', (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.once('end', () => {
      const bytes = Buffer.concat(chunks);
      const { 'content-encoding': encoding, connection } = response.headers;
      resolve({ status: response.statusCode, encoding, connection, bytes, text: bytes.toString() });
      sent.destroy();
    });
  });
  sent.end(body);
  return promise;
}
