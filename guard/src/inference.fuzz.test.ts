// Random and mutated requests: each is answered or refused by name, and the server keeps running. Follows spec/inference.md section 3.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { GuardError } from './error.ts';
import { ask, sendRaw } from './fixtures/client.ts';
import { flatImage, serve, settings } from './fixtures/serve.ts';
import { parseInferRequest, typedRequest } from './grpc/messages.ts';
import { parseInferenceRequest } from './inference-request.ts';
import { protobufFields, ProtobufWriter } from './protobuf.ts';
import type { TensorInterface } from './tensors/tensor.ts';

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

const call = new ProtobufWriter()
  .text(1, 'light')
  .message(4, (entry) => entry.text(1, 'timeout').message(2, (value) => value.varint(2, 5)))
  .message(5, (input) =>
    input
      .text(1, 'image')
      .text(2, 'FP32')
      .packed(3, [1, 1, 8, 8])
      .message(5, (contents) => contents.bytes(6, new Uint8Array(256))),
  )
  .message(6, (output) => output.text(1, 'scores'))
  .end();

function refusesCallByName(bytes: Uint8Array): void {
  try {
    typedRequest(parseInferRequest(bytes), model);
  } catch (error) {
    assert(error instanceof GuardError, String(error));
    assert.match(error.code, /^(?:request-invalid|not-offered)$/);
  }
}

// SECURITY.md: DEV-33
test('a mutated gRPC message is parsed or refused by name, and so are random bytes', () => {
  typedRequest(parseInferRequest(call), model);
  const changes = fc.array(fc.tuple(fc.nat(call.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  const mutated = changes.map((all) => {
    const bytes = Uint8Array.from(call);
    for (const [at, value] of all) bytes[at] = value;
    return bytes;
  });
  const random = fc.uint8Array({ maxLength: 200 });
  fc.assert(fc.property(fc.oneof(mutated, random), refusesCallByName), { numRuns: Math.ceil(inputs / 2) });
});

test('numbers and fields that were written are read back', () => {
  const field = fc.tuple(fc.integer({ min: 1, max: 500 }), fc.bigInt({ min: 1n, max: 2n ** 64n - 1n }));
  fc.assert(
    fc.property(fc.array(field), (fields) => {
      const writer = new ProtobufWriter();
      for (const [number, value] of fields) writer.varint(number, value);
      const read = [...protobufFields(writer.end(), (why) => new Error(why))].map((each) => [each.field, each.number]);
      assert.deepEqual(read, fields);
    }),
  );
});

// SECURITY.md: DEV-33
test('no bytes on a connection end the server', async () => {
  await using served = await serve('primary', { settings });
  const raw = fc.oneof(
    fc.uint8Array({ maxLength: 400 }),
    fc
      .uint8Array({ maxLength: 200 })
      .map((bytes) => Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), bytes])),
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
