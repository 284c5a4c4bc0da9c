// The public health service, asked by @grpc/grpc-js: the messages are those of grpc/doc/health-checking.md.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client, type ClientReadableStream, credentials } from '@grpc/grpc-js';
import { z } from 'zod';
import { serve, type Served } from '../fixtures/serve.ts';
import { WATCHES_MAX } from '../limits.ts';

const serving = 1;
const notServing = 2;
const serviceUnknown = 3;
const path = (call: string) => `/grpc.health.v1.Health/${call}`;
const request = (service: string) =>
  Buffer.concat([Buffer.of(0x0a, service.length), Buffer.from(service)].slice(service === '' ? 2 : 0));
const statusIn = (message: Buffer) => (message[0] === 0x08 ? (message[1] ?? 0) : 0);

function opened({ socketPath }: Served): Client & Disposable {
  const client = new Client(`unix:${socketPath}`, credentials.createInsecure());
  return Object.assign(client, { [Symbol.dispose]: () => client.close() });
}

/** The status, or the code of a call that failed. */
async function check(client: Client, service: string): Promise<number | { readonly code: number }> {
  const { promise, resolve } = Promise.withResolvers<number | { readonly code: number }>();
  client.makeUnaryRequest(path('Check'), request, statusIn, service, (error, status = 0) =>
    resolve(error === null ? status : { code: error.code }),
  );
  return promise;
}

const watch = (client: Client, service: string) =>
  client.makeServerStreamRequest(path('Watch'), request, statusIn, service);

/** The next status of a watch, or the code that ended it. */
async function next(stream: ClientReadableStream<number>): Promise<number | { readonly code: number }> {
  const { promise, resolve } = Promise.withResolvers<number | { readonly code: number }>();
  stream.once('data', resolve);
  stream.once('error', (error) => resolve(z.object({ code: z.number() }).parse({ code: Reflect.get(error, 'code') })));
  return promise;
}

test('the guard and its inference service are serving, and another name is not found', async () => {
  await using served = await serve('primary');
  using client = opened(served);
  assert.equal(await check(client, ''), serving);
  assert.equal(await check(client, 'inference.GRPCInferenceService'), serving);
  for (const name of ['light', 'inference', 'grpc.health.v1.Health', '*'])
    assert.deepEqual(await check(client, name), { code: 5 }, name);
});

test('a watcher gets the status now and the one when the guard stops, then the call ends as unavailable', async () => {
  await using served = await serve('primary');
  using client = opened(served);
  const stream = watch(client, 'inference.GRPCInferenceService');
  assert.equal(await next(stream), serving);
  const after = next(stream);
  await served.service.stop();
  assert.equal(await after, notServing);
  assert.deepEqual(await next(stream), { code: 14 });
  assert.equal(await check(client, ''), notServing);
});

test('who watches an unknown service hears so, and the call goes on', async () => {
  await using served = await serve('primary');
  using client = opened(served);
  const stream = watch(client, 'other');
  assert.equal(await next(stream), serviceUnknown);
  assert.equal(await check(client, ''), serving);
  const after = next(stream);
  await served.service.stop();
  assert.deepEqual(await after, { code: 14 });
});

test('a guard that is replaced sends its watchers to the next one, and says nothing else', async () => {
  await using served = await serve('primary');
  using client = opened(served);
  const stream = watch(client, '');
  assert.equal(await next(stream), serving);
  const after = next(stream);
  const retired = served.server.retire();
  assert.deepEqual(await after, { code: 14 });
  client.close();
  await retired;
});

test('a watcher that leaves gives its place back, and one beyond the limit is refused', async () => {
  await using served = await serve('primary');
  using client = opened(served);
  const held = Array.from({ length: WATCHES_MAX }, () => watch(client, ''));
  await Promise.all(held.map(next));
  assert.deepEqual(await next(watch(client, '')), { code: 8 });
  const [first] = held;
  assert.ok(first !== undefined);
  for (const stream of held) stream.on('error', () => undefined);
  const left = new Promise((resolve) => first.once('status', resolve));
  first.cancel();
  await left;
  // The place is free when the guard has read that the call ended.
  for (;;) {
    const stream = watch(client, '');
    stream.on('error', () => undefined);
    if ((await next(stream)) === serving) break;
  }
  assert.equal(await check(client, ''), serving);
});
