import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import { ask, sendRaw } from './fixtures/client.ts';
import { flatImage, serve, settings } from './fixtures/serve.ts';
import { extensionsNotOffered } from './routes.ts';

const infer = '/v2/models/light/infer';

function imageRequest(...brightness: readonly number[]): string {
  const data = brightness.flatMap((value) => flatImage(value));
  return JSON.stringify({
    id: '7',
    inputs: [{ name: 'image', shape: [brightness.length, 1, 8, 8], datatype: 'FP32', data }],
  });
}

test('metadata and health answer as the protocol says', async () => {
  await using served = await serve('primary', { settings });
  const get = async (path: string) => ask(served.socketPath, 'GET', path);
  assert.deepEqual((await get('/v2')).body, {
    name: 'edgekeep-guard',
    version: '0.0.0',
    extensions: ['binary_tensor_data', 'parameters', 'model_configuration', 'statistics'],
    not_offered: [...extensionsNotOffered],
  });
  assert.deepEqual((await get('/v2/health/live')).body, { live: true });
  assert.equal((await get('/v2/health/ready')).body['ready'], true);
  assert.deepEqual((await get('/v2/models/light/ready')).body, { name: 'light', ready: true });
  assert.deepEqual((await get('/v2/models/light/versions/1.0.0')).body, {
    name: 'light',
    versions: ['1.0.0'],
    platform: 'onnxruntime_onnx',
    inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 8, 8] }],
    outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 2] }],
  });
});

test('an unknown path, model, version or method is refused by name', async () => {
  await using served = await serve('primary', { settings });
  for (const [method, path, status] of [
    ['GET', '/', 404],
    ['GET', '/v2/models/other', 404],
    ['GET', '/v2/models/light/versions/2.0.0/ready', 404],
    ['POST', '/v2/models/light/versions/2.0.0/infer', 404],
    ['GET', '/v2/models/%ff', 404],
    ['GET', infer, 405],
    ['POST', '/v2', 405],
  ] as const) {
    const answer = await ask(served.socketPath, method, path);
    assert.equal(answer.status, status, path);
    assert.match(answer.body.error ?? '', /^(path-unknown|model-unknown|method-not-allowed): /);
  }
  assert.equal(served.service.counts.read().refused, 7);
});

test('a sure answer about a usual image is accepted, with its statistics', async () => {
  await using served = await serve('primary', { settings, fallback: 'fallback' });
  const { status, body } = await ask(served.socketPath, 'POST', infer, imageRequest(0.75));
  assert.equal(status, 200);
  assert.equal(body.id, '7');
  const { confidence, ...rest } = body.parameters ?? {};
  assert(typeof confidence === 'number' && confidence > 0.99);
  assert.deepEqual(rest, {
    verdict: 'accepted',
    reasons: '',
    class: 1,
    label: 'bright',
    model_used: 'primary',
    brightness: 0.75,
    contrast: 0,
    noise: 0,
  });
  assert.deepEqual(body.outputs, [{ name: 'scores', shape: [1, 2], datatype: 'FP32', data: [-5, 5] }]);
});

test('each image of a batch has its verdict, and the row of the model that answered', async () => {
  await using served = await serve('primary', { settings, fallback: 'fallback' });
  const brightness = [0.75, 0.52, 0.497, 0.485, 0.9];
  const { body } = await ask(served.socketPath, 'POST', infer, imageRequest(...brightness));
  const images: unknown = JSON.parse(String(body.parameters?.['images']));
  assert(Array.isArray(images));
  assert.deepEqual(
    images.map((image: Record<string, unknown>) => [image['verdict'], image['reasons'], image['model_used']]),
    [
      ['accepted', '', 'primary'],
      ['fallback', 'confidence-low,fallback-agrees', 'fallback'],
      ['review', 'confidence-low,fallback-disagrees', 'primary'],
      ['review', 'confidence-low,fallback-confidence-low', 'primary'],
      ['review', 'brightness-high', 'primary'],
    ],
  );
  assert.equal(body.parameters?.['verdict'], 'review');
  const rows = body.outputs?.[0]?.data?.map((score) => Math.round(Number(score) * 10) / 10);
  assert.deepEqual(rows, [-5, 5, -2.4, 2.4, 0.1, -0.1, 0.3, -0.3, -8, 8]);
  assert.deepEqual(served.service.counts.read(), {
    accepted: 1,
    fallback: 1,
    review: 3,
    unguarded: 0,
    refused: 0,
    failed: 0,
    reasons: {
      'confidence-low': 3,
      'fallback-agrees': 1,
      'fallback-disagrees': 1,
      'fallback-confidence-low': 1,
      'brightness-high': 1,
    },
  });
});

test('a model without settings answers, and says that nobody guarded the answer', async () => {
  await using served = await serve('divide');
  const inputs = [
    { name: 'numerator', shape: [2], datatype: 'FP32', data: [1, 3] },
    { name: 'denominator', shape: [2], datatype: 'FP32', data: [2, 4] },
  ];
  const { body } = await ask(served.socketPath, 'POST', infer, JSON.stringify({ inputs }));
  assert.deepEqual(body.parameters, { verdict: 'unguarded' });
  assert.deepEqual(body.outputs?.[0]?.data, [0.5, 0.75]);
  assert.equal(served.service.counts.read().unguarded, 1);
});

test('an output that is not finite has no JSON form, but a binary one', async () => {
  await using served = await serve('divide');
  const inputs = [
    { name: 'numerator', shape: [1], datatype: 'FP32', data: [1] },
    { name: 'denominator', shape: [1], datatype: 'FP32', data: [0] },
  ];
  const json = await ask(served.socketPath, 'POST', infer, JSON.stringify({ inputs }));
  assert.equal(json.status, 422);
  const outputs = [{ name: 'quotient', parameters: { binary_data: true } }];
  const binary = await ask(served.socketPath, 'POST', infer, JSON.stringify({ inputs, outputs }));
  assert.equal(binary.binary.readFloatLE(0), Infinity);
});

test('binary tensors in and out give what JSON gives', async () => {
  await using served = await serve('primary', { settings });
  const image = Buffer.from(Float32Array.from(flatImage(0.75)).buffer);
  const input = {
    name: 'image',
    shape: [1, 1, 8, 8],
    datatype: 'FP32',
    parameters: { binary_data_size: image.length },
  };
  const json = Buffer.from(JSON.stringify({ parameters: { binary_data_output: true }, inputs: [input] }));
  const headers = { 'Inference-Header-Content-Length': String(json.length) };
  const answer = await ask(served.socketPath, 'POST', infer, Buffer.concat([json, image]), headers);
  assert.equal(answer.status, 200);
  assert.deepEqual([answer.binary.readFloatLE(0), answer.binary.readFloatLE(4)], [-5, 5]);
});

test('a body beyond the limit is refused before it is read', async () => {
  await using served = await serve('primary', { settings });
  const head = `POST ${infer} HTTP/1.1\r\nHost: guard\r\nContent-Length: 999999999\r\n\r\n`;
  const answer = await sendRaw(served.socketPath, head, false);
  assert.match(answer, /^HTTP\/1\.1 413 /);
  assert.match(answer, /request-too-large/);
});

test('headers beyond the limit, and bytes that are not HTTP, end the connection with an answer', async () => {
  await using served = await serve('primary', { settings });
  assert.match(
    await sendRaw(served.socketPath, `GET /v2 HTTP/1.1\r\nHost: g\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`),
    /^HTTP\/1\.1 431 /,
  );
  assert.match(await sendRaw(served.socketPath, '\x16\x03\x01 not HTTP\r\n\r\n'), /^HTTP\/1\.1 400 /);
  assert.equal((await ask(served.socketPath, 'GET', '/v2')).status, 200);
});

test('a retiring guard answers a request whose body is still on its way, closes the connection, and takes no new one', async () => {
  await using served = await serve('primary', { settings });
  const body = imageRequest(0.75);
  const socket = connect(served.socketPath);
  const text = readAll(socket);
  socket.write(`POST ${infer} HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body.slice(0, 50)}`);
  const idle = connect(served.socketPath);
  idle.on('error', () => undefined);
  idle.write('GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(idle, 'data');
  const retired = served.server.retire();
  await assert.rejects(ask(served.socketPath, 'GET', '/v2/health/live'));
  idle.write('GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.write(body.slice(50));
  const answer = await text;
  assert.match(answer, /^HTTP\/1\.1 200 /);
  assert.match(answer, /Connection: close/i);
  await retired;
  assert.equal(served.service.counts.read().accepted, 1);
  assert.equal(served.service.counts.read().failed, 0);
});

test('a connection on which nobody asks keeps a retiring guard no longer than its time', async () => {
  await using served = await serve('primary', { settings });
  const idle = connect(served.socketPath);
  idle.on('error', () => undefined);
  idle.write('GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n');
  await once(idle, 'data');
  await served.server.retire(20);
  idle.destroy();
});

async function readAll(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket.setEncoding('utf8')) text += String(chunk);
  return text;
}
