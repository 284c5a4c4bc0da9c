// Random and mutated requests: each is answered or refused by name, and the server keeps running. Follows spec/inference.md section 3.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { GuardError } from './error.ts';
import { ask, sendRaw } from './fixtures/client.ts';
import { flatImage, serve, settings } from './fixtures/serve.ts';
import { parseInferenceRequest } from './inference-request.ts';
import type { TensorInterface } from './tensor.ts';

const inputs = Number(process.env['EDGEKEEP_FUZZ_INPUTS'] ?? 20_000);
const infer = '/v2/models/light/infer';
const model: { inputs: readonly TensorInterface[]; outputs: readonly TensorInterface[] } = {
  inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 8, 8] }],
  outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 2] }],
};
const request = Buffer.from(
  JSON.stringify({
    id: '1',
    inputs: [{ name: 'image', shape: [1, 1, 8, 8], datatype: 'FP32', data: flatImage(0.5) }],
    outputs: [{ name: 'scores', parameters: { binary_data: true } }],
  }),
);

const mutation = fc
  .array(fc.tuple(fc.nat(request.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
  .map((changes) => {
    const bytes = Uint8Array.from(request);
    for (const [at, value] of changes) bytes[at] = value;
    return bytes;
  });
const headerLength = fc.option(fc.nat(request.length + 10), { nil: undefined });

function refusesByName(bytes: Uint8Array, length: number | undefined): void {
  try {
    parseInferenceRequest(bytes, length, model);
  } catch (error) {
    assert(error instanceof GuardError, String(error));
    assert.equal(error.code, 'request-invalid');
  }
}

test('a mutated request is parsed or refused by name', () => {
  fc.assert(fc.property(mutation, headerLength, refusesByName), { numRuns: Math.ceil(inputs / 2) });
});

test('random JSON is refused by name', () => {
  const bytes = fc.json().map((text) => Buffer.from(text));
  fc.assert(fc.property(bytes, headerLength, refusesByName), { numRuns: Math.ceil(inputs / 4) });
});

// SECURITY.md: DEV-33
test('no bytes on a connection end the server', async () => {
  await using served = await serve('primary', { settings });
  const raw = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    mutation.map((body) =>
      Buffer.concat([Buffer.from(`POST ${infer} HTTP/1.1\r\nHost: g\r\nContent-Length: ${body.length}\r\n\r\n`), body]),
    ),
    fc
      .tuple(fc.string(), fc.string())
      .map(([path, header]) => Buffer.from(`GET /${path} HTTP/1.1\r\nHost: g\r\nX: ${header}\r\n\r\n`)),
  );
  await fc.assert(
    fc.asyncProperty(raw, async (bytes) => {
      await sendRaw(served.socketPath, bytes);
    }),
    { numRuns: Math.ceil(inputs / 40) },
  );
  assert.equal((await ask(served.socketPath, 'GET', '/v2/health/live')).status, 200);
  assert.equal((await ask(served.socketPath, 'POST', infer, request)).status, 200);
});
