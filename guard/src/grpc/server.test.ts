// The gRPC flavor, asked by clients of others: @grpc/grpc-js with the messages of spec/inference.proto, and raw HTTP/2 for what no client
// sends.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { type Client, compressionAlgorithms, credentials, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { z } from 'zod';
import { ask } from '../fixtures/client.ts';
import { flatImage, serve, settings, type FixtureName, type Served } from '../fixtures/serve.ts';
import { parseInferRequest, typedRequest } from './messages.ts';
import { BODY_BYTES_MAX } from '../limits.ts';
import { tensorBytes } from '../tensors/tensor-bytes.ts';
import { parseTensorJson } from '../tensors/tensor-json.ts';
import { type Datatype, datatypes, isDatatype } from '../tensors/tensor.ts';
import { testValues } from '../tensors/testing-values.ts';

const definition = loadSync(fileURLToPath(new URL('../../../spec/inference.proto', import.meta.url)), {
  keepCase: true,
  longs: Number,
  enums: String,
  oneofs: true,
});
const loaded = z
  .object({ inference: z.object({ GRPCInferenceService: z.custom<new (...words: unknown[]) => Client>() }) })
  .parse(loadPackageDefinition(definition));

/** Of grpc/doc/statuscodes.md. */
const status = {
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  RESOURCE_EXHAUSTED: 8,
  UNIMPLEMENTED: 12,
} as const;

type Reply = { readonly answer: Record<string, unknown> } | { readonly code: number; readonly details: string };

/** Calls by name, as a client that was made from the .proto. */
class Caller implements Disposable {
  readonly client: Client;

  constructor(address: string, options: object = {}) {
    const Service = loaded.inference.GRPCInferenceService;
    this.client = new Service(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      'grpc.max_send_message_length': -1,
      ...options,
    });
  }

  async call(method: string, request: object, options: object = {}): Promise<Reply> {
    const { promise, resolve } = Promise.withResolvers<Reply>();
    const made: unknown = Reflect.get(this.client, method);
    assert.ok(typeof made === 'function');
    made.call(
      this.client,
      request,
      options,
      (error: { code: number; details: string } | null, answer: Record<string, unknown>) =>
        resolve(error === null ? { answer } : { code: error.code, details: error.details }),
    );
    return promise;
  }

  async answer(method: string, request: object): Promise<Record<string, unknown>> {
    const reply = await this.call(method, request);
    assert.ok('answer' in reply, JSON.stringify(reply));
    return reply.answer;
  }

  [Symbol.dispose](): void {
    this.client.close();
  }
}

async function withCaller(
  name: FixtureName,
  use: (caller: Caller, served: Served) => Promise<void>,
  options: Parameters<typeof serve>[1] = {},
): Promise<void> {
  await using served = await serve(name, options);
  using caller = new Caller(`unix:${served.socketPath}`);
  await use(caller, served);
}

const image = (brightness: number) => ({
  name: 'image',
  datatype: 'FP32',
  shape: [1, 1, 8, 8],
  contents: { fp32_contents: flatImage(brightness) },
});
const inferSchema = z.looseObject({
  id: z.string().optional(),
  parameters: z.record(z.string(), z.looseObject({})),
  outputs: z.array(z.looseObject({ name: z.string(), datatype: z.string(), shape: z.array(z.number()) })),
  raw_output_contents: z.array(z.instanceof(Buffer)),
});

test('health, metadata, configuration, statistics and index answer by the public names', async () => {
  await withCaller(
    'primary',
    async (caller) => {
      assert.deepEqual(await caller.answer('ServerLive', {}), { live: true });
      assert.deepEqual(await caller.answer('ServerReady', {}), { ready: true });
      assert.deepEqual(await caller.answer('ModelReady', { name: 'light', version: '1.0.0' }), { ready: true });
      assert.notDeepEqual(await caller.answer('ModelReady', { name: 'other' }), { ready: true });
      const ofOther = await caller.call('ModelStatistics', { name: 'other' });
      assert.ok('code' in ofOther && ofOther.code === status.NOT_FOUND, JSON.stringify(ofOther));
      assert.equal((await caller.answer('ServerMetadata', {}))['name'], 'edgekeep-guard');
      assert.deepEqual(await caller.answer('ModelMetadata', { name: 'light' }), {
        name: 'light',
        versions: ['1.0.0'],
        platform: 'onnxruntime_onnx',
        inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 8, 8] }],
        outputs: [{ name: 'scores', datatype: 'FP32', shape: [-1, 2] }],
      });
      const { config } = await caller.answer('ModelConfig', { name: 'light' });
      assert.deepEqual(config, {
        name: 'light',
        platform: 'onnxruntime_onnx',
        backend: 'onnxruntime',
        input: [{ name: 'image', data_type: 'TYPE_FP32', dims: [-1, 1, 8, 8] }],
        output: [{ name: 'scores', data_type: 'TYPE_FP32', dims: [-1, 2] }],
      });
      await caller.answer('ModelInfer', { model_name: 'light', inputs: [image(0.75)] });
      const { model_stats: stats } = z
        .object({ model_stats: z.array(z.looseObject({ execution_count: z.number() })) })
        .parse(await caller.answer('ModelStatistics', { name: 'light' }));
      assert.equal(stats[0]?.execution_count, 1);
      const { models } = await caller.answer('RepositoryIndex', {});
      assert.deepEqual(models, [{ name: 'light', version: '1.0.0', state: 'READY' }]);
    },
    { settings },
  );
});

test('an answer has the verdict, its numbers, and the scores as raw contents', async () => {
  await withCaller(
    'primary',
    async (caller) => {
      const answer = inferSchema.parse(
        await caller.answer('ModelInfer', { model_name: 'light', id: '7', inputs: [image(0.75)] }),
      );
      assert.equal(answer.id, '7');
      assert.deepEqual(answer.parameters['verdict'], { string_param: 'accepted', parameter_choice: 'string_param' });
      assert.deepEqual(answer.parameters['class'], { int64_param: 1, parameter_choice: 'int64_param' });
      assert.deepEqual(answer.parameters['contrast'], { double_param: 0, parameter_choice: 'double_param' });
      assert.deepEqual(answer.outputs, [{ name: 'scores', datatype: 'FP32', shape: [1, 2] }]);
      const [scores = Buffer.alloc(0)] = answer.raw_output_contents;
      assert.deepEqual([scores.readFloatLE(0), scores.readFloatLE(4)], [-5, 5]);
    },
    { settings },
  );
});

const contentsOf: Readonly<Record<Datatype, string | undefined>> = {
  BOOL: 'bool_contents',
  UINT8: 'uint_contents',
  UINT16: 'uint_contents',
  UINT32: 'uint_contents',
  UINT64: 'uint64_contents',
  INT8: 'int_contents',
  INT16: 'int_contents',
  INT32: 'int_contents',
  INT64: 'int64_contents',
  FP16: undefined,
  FP32: 'fp32_contents',
  FP64: 'fp64_contents',
  BYTES: 'bytes_contents',
};

const all = Object.keys(datatypes).filter(isDatatype);
const bytesOf = (datatype: Datatype) => {
  const data = parseTensorJson('x', datatype, [2], 2, testValues[datatype]);
  return Buffer.from(tensorBytes({ name: 'x', datatype, shape: [2], data }));
};

test('every datatype goes in as raw contents and comes back', async () => {
  await withCaller('types', async (caller) => {
    const inputs = all.map((datatype) => ({ name: `${datatype.toLowerCase()}_in`, datatype, shape: [2] }));
    const answer = await caller.answer('ModelInfer', {
      model_name: 'light',
      inputs,
      raw_input_contents: all.map(bytesOf),
    });
    assert.deepEqual(
      inferSchema.parse(answer).raw_output_contents.map((bytes) => bytes.toString('hex')),
      all.map((datatype) => bytesOf(datatype).toString('hex')),
    );
  });
});

test('every datatype but FP16 has typed contents, which are what JSON gives', () => {
  const serialize = z
    .object({
      'inference.GRPCInferenceService': z.object({
        ModelInfer: z.object({ requestSerialize: z.custom<(request: object) => Buffer>() }),
      }),
    })
    .parse(definition)['inference.GRPCInferenceService'].ModelInfer.requestSerialize;
  const typed = (datatype: Datatype, field: string | undefined) => {
    const list =
      datatype === 'BYTES' ? testValues[datatype].map((text) => Buffer.from(String(text))) : testValues[datatype];
    const contents = field === undefined ? {} : { contents: { [field]: list } };
    const request = parseInferRequest(serialize({ inputs: [{ name: 'x', datatype, shape: [2], ...contents }] }));
    const model = { inputs: [{ name: 'x', datatype, shape: [-1] }], outputs: [] };
    return typedRequest(request, model).inputs[0]?.data;
  };
  for (const datatype of all) {
    const field = contentsOf[datatype];
    if (field === undefined) assert.throws(() => typed(datatype, 'fp32_contents'), { code: 'request-invalid' });
    else
      assert.deepEqual(typed(datatype, field), parseTensorJson('x', datatype, [2], 2, testValues[datatype]), datatype);
    assert.throws(() => typed(datatype, undefined), { code: 'request-invalid' });
  }
});

test('a typed element outside its datatype is refused', async () => {
  await withCaller('types', async (caller) => {
    for (const [datatype, field, list] of [
      ['INT8', 'int_contents', [128, 0]],
      ['UINT8', 'uint_contents', [256, 0]],
      ['INT16', 'int_contents', [-32_769, 0]],
      ['BYTES', 'bytes_contents', [Buffer.of(0xff), Buffer.of()]],
      ['FP32', 'fp32_contents', [Number.NaN, 0]],
    ] as const) {
      const input = { name: `${datatype.toLowerCase()}_in`, datatype, shape: [2], contents: { [field]: list } };
      const reply = await caller.call('ModelInfer', { model_name: 'light', inputs: [input] });
      assert.ok('code' in reply && reply.code === status.INVALID_ARGUMENT, datatype);
    }
  });
});

test('what is refused over HTTP is refused here, with the status of gRPC', async () => {
  await withCaller(
    'primary',
    async (caller, { service }) => {
      const infer = (change: object) =>
        caller.call('ModelInfer', { model_name: 'light', inputs: [image(0.7)], ...change });
      const whole = image(0.7);
      for (const [reply, code, details] of [
        [await infer({ model_name: 'other' }), status.NOT_FOUND, /^model-unknown: /],
        [await infer({ model_version: '9' }), status.NOT_FOUND, /^model-unknown: /],
        [await infer({ inputs: [] }), status.INVALID_ARGUMENT, /given 0 times/],
        [await infer({ inputs: [{ ...whole, shape: [2, 1, 8, 8] }] }), status.INVALID_ARGUMENT, /64 elements/],
        [await infer({ inputs: [{ ...whole, shape: [0, 1, 8, 8] }] }), status.INVALID_ARGUMENT, /size of 0/],
        [await infer({ inputs: [{ ...whole, datatype: 'BF16' }] }), status.INVALID_ARGUMENT, /BF16/],
        [await infer({ raw_input_contents: [Buffer.alloc(256)] }), status.INVALID_ARGUMENT, /both contents and raw/],
        [await infer({ inputs: [{ ...whole, contents: { int_contents: [1] } }] }), status.INVALID_ARGUMENT, /field 2/],
        [
          await infer({ outputs: [{ name: 'scores', parameters: { classification: { int64_param: 3 } } }] }),
          status.UNIMPLEMENTED,
          /^not-offered: /,
        ],
      ] as const) {
        assert.ok('code' in reply, JSON.stringify(reply));
        assert.equal(reply.code, code, reply.details);
        assert.match(reply.details, details);
      }
      assert.equal(service.counts.read().refused, 9);
    },
    { settings },
  );
});

// SECURITY.md: DEV-33
test('a message above the limit is refused before it is read, and a packed one while it is unpacked', async () => {
  await withCaller('primary', async (caller, { socketPath }) => {
    const raw = [Buffer.alloc(BODY_BYTES_MAX)];
    const large = await caller.call('ModelInfer', {
      model_name: 'light',
      inputs: [image(0.7)],
      raw_input_contents: raw,
    });
    assert.ok('code' in large && large.code === status.RESOURCE_EXHAUSTED, JSON.stringify(large));
    using packing = new Caller(`unix:${socketPath}`, {
      'grpc.default_compression_algorithm': compressionAlgorithms.gzip,
    });
    const bomb = await packing.call('ModelInfer', {
      model_name: 'light',
      inputs: [image(0.7)],
      raw_input_contents: raw,
    });
    assert.ok('code' in bomb && bomb.code === status.RESOURCE_EXHAUSTED, JSON.stringify(bomb));
    assert.equal((await ask(socketPath, 'GET', '/v2/health/live')).status, 200);
  });
});

test('packed messages are read', async () => {
  await using served = await serve('primary', { settings });
  for (const algorithm of [compressionAlgorithms.gzip, compressionAlgorithms.deflate]) {
    using packing = new Caller(`unix:${served.socketPath}`, { 'grpc.default_compression_algorithm': algorithm });
    await packing.answer('ModelInfer', { model_name: 'light', inputs: [image(0.75)] });
  }
  assert.equal(served.service.counts.read().accepted, 2);
});

test('a call whose deadline is over ends, and so does one that its client cancels: neither is computed', async () => {
  await withCaller('primary', async (caller, { service }) => {
    const late = await caller.call('ModelInfer', { model_name: 'light', inputs: [image(0.7)] }, { deadline: 0 });
    assert.ok('code' in late && late.code === status.DEADLINE_EXCEEDED);
    assert.equal(service.timings.read().executions, 0);
  });
});

test('requests of a stream are answered in turn; one that is refused says why, and the stream goes on', async () => {
  await withCaller('primary', async ({ client }) => {
    const open: unknown = Reflect.get(client, 'ModelStreamInfer');
    assert.ok(typeof open === 'function');
    const stream: unknown = open.call(client);
    const duplex = z.custom<NodeJS.ReadWriteStream & { write(message: object): boolean }>().parse(stream);
    const answers: unknown[] = [];
    duplex.on('data', (answer) => answers.push(answer));
    const ended = once(duplex, 'end');
    for (const model_name of ['light', 'other', 'light']) duplex.write({ model_name, inputs: [image(0.7)] });
    duplex.end();
    await ended;
    const seen = z.array(z.looseObject({ error_message: z.string().optional() })).parse(answers);
    assert.deepEqual(
      seen.map(({ error_message }) => error_message?.split(':')[0] ?? ''),
      ['', 'model-unknown', ''],
    );
  });
});

test('calls that are not offered, and media types that are not gRPC, are refused by the protocol', async () => {
  await using served = await serve('primary');
  const session = connectHttp2('http://localhost', { createConnection: () => connect(served.socketPath) });
  try {
    const ask = async (path: string, type: string, body = Buffer.alloc(5), more: object = {}) => {
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': type,
        te: 'trailers',
        ...more,
      });
      stream.end(body);
      stream.resume();
      const [headers] = z
        .tuple([z.looseObject({}), z.number()])
        .rest(z.unknown())
        .parse(await once(stream, 'response'));
      return [headers[':status'], headers['grpc-status']];
    };
    const service = '/inference.GRPCInferenceService';
    assert.deepEqual(await ask(`${service}/ServerLive`, 'application/json'), [415, undefined]);
    assert.deepEqual(await ask(`${service}/RepositoryModelLoad`, 'application/grpc'), [200, '12']);
    assert.deepEqual(await ask(`${service}/constructor`, 'application/grpc'), [200, '12']);
    assert.deepEqual(await ask('/other', 'application/grpc'), [200, '12']);
    assert.deepEqual(await ask(`${service}/ServerLive`, 'application/grpc', Buffer.alloc(3)), [200, '3']);
    assert.deepEqual(await ask(`${service}/ServerLive`, 'application/grpc', Buffer.alloc(10)), [200, '3']);
    assert.deepEqual(await ask(`${service}/ServerLive`, 'application/grpc', Buffer.alloc(0)), [200, '3']);
    const packed = gzipSync(Buffer.alloc(0));
    const frame = Buffer.concat([Buffer.of(1, 0, 0, 0, packed.length), packed]);
    assert.deepEqual(await ask(`${service}/ServerLive`, 'application/grpc', frame, { 'grpc-encoding': 'snappy' }), [
      200,
      '12',
    ]);
    assert.deepEqual(await ask(`${service}/ServerLive`, 'application/grpc', frame, { 'grpc-timeout': 'soon' }), [
      200,
      '3',
    ]);
  } finally {
    session.destroy();
  }
});

test('a retiring guard answers the call that is under way, and the connection ends', async () => {
  await using served = await serve('primary');
  const session = connectHttp2('http://localhost', { createConnection: () => connect(served.socketPath) });
  const closed = once(session, 'close');
  const path = '/inference.GRPCInferenceService/ServerLive';
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
  const first = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
  first.end(Buffer.alloc(5));
  first.resume();
  await once(first, 'response');
  const retired = served.server.retire();
  stream.end(Buffer.alloc(5));
  stream.resume();
  const [trailers] = z
    .tuple([z.looseObject({})])
    .rest(z.unknown())
    .parse(await once(stream, 'trailers'));
  assert.equal(trailers['grpc-status'], '0');
  await closed;
  await retired;
});

test('a web page gets nothing over gRPC on loopback', async () => {
  await using served = await serve('primary', { kind: 'loopback' });
  const session = connectHttp2('http://page.example', { createConnection: () => connect(served.socketPath) });
  try {
    const path = '/inference.GRPCInferenceService/ServerLive';
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
    stream.end(Buffer.alloc(5));
    const [headers] = z
      .tuple([z.looseObject({})])
      .rest(z.unknown())
      .parse(await once(stream, 'response'));
    assert.equal(headers['grpc-status'], '7');
  } finally {
    session.destroy();
  }
});
