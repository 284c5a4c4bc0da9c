// Every datatype of spec/inference.md section 3 goes through real models over HTTP, in and out, as JSON and as binary data.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ask } from './fixtures/client.ts';
import { fixtureBytes, serve, type FixtureName } from './fixtures/serve.ts';
import { ModelSession } from './model/session.ts';
import { tensorBytes } from './tensors/tensor-bytes.ts';
import { parseTensorJson } from './tensors/tensor-json.ts';
import { datatypes, isDatatype, type Datatype } from './tensors/tensor.ts';
import { testValues } from './tensors/testing-values.ts';

const infer = '/v2/models/light/infer';

interface Sent {
  readonly name: string;
  readonly datatype: Datatype;
  readonly data: readonly (number | string | boolean)[];
  readonly shape?: readonly number[];
}

const all = (Object.keys(testValues) as readonly string[]).filter(isDatatype).map((datatype): Sent => {
  const name = `${datatype.toLowerCase()}_in`;
  return { name, datatype, data: testValues[datatype] };
});

const bytesOf = ({ name, datatype, data }: Sent) => {
  const shape = [data.length];
  return tensorBytes({ name, datatype, shape, data: parseTensorJson(name, datatype, shape, data.length, data) });
};

async function inferJson(socketPath: string, sent: readonly Sent[]) {
  const inputs = sent.map((each) => ({ shape: [each.data.length], ...each }));
  const answer = await ask(socketPath, 'POST', infer, JSON.stringify({ inputs }));
  assert.equal(answer.status, 200, answer.body.error);
  return answer.body.outputs?.map(({ data }) => data);
}

/** The bytes of each output. */
async function inferBinary(socketPath: string, sent: readonly Sent[]) {
  const tails = sent.map(bytesOf);
  const inputs = sent.map(({ name, datatype, data, shape = [data.length] }, index) => {
    return { name, datatype, shape, parameters: { binary_data_size: tails[index]?.length } };
  });
  const json = Buffer.from(JSON.stringify({ inputs, parameters: { binary_data_output: true } }));
  const headers = { 'Inference-Header-Content-Length': String(json.length) };
  const answer = await ask(socketPath, 'POST', infer, Buffer.concat([json, ...tails]), headers);
  assert.equal(answer.status, 200, answer.body.error);
  let at = 0;
  return answer.body.outputs?.map(({ parameters }) => {
    const size = Number(parameters?.['binary_data_size']);
    at += size;
    return answer.binary.subarray(at - size, at).toString('hex');
  });
}

test('the identity gives back every datatype, from JSON to JSON and from bytes to bytes', async () => {
  assert.deepEqual(
    all.map(({ datatype }) => datatype),
    Object.keys(datatypes),
  );
  await using served = await serve('types');
  assert.deepEqual(
    await inferJson(served.socketPath, all),
    all.map(({ data }) => data),
  );
  assert.deepEqual(
    await inferBinary(served.socketPath, all),
    all.map((each) => Buffer.from(bytesOf(each)).toString('hex')),
  );
});

const models: readonly { readonly model: FixtureName; readonly sent: Sent; readonly answer: Sent['data'] }[] = [
  {
    model: 'half',
    sent: { name: 'logits', datatype: 'FP16', shape: [1, 4], data: [0, 0, 0, 0] },
    answer: [0.25, 0.25, 0.25, 0.25],
  },
  {
    model: 'words',
    sent: { name: 'german', datatype: 'BYTES', data: ['grün', 'rot', 'gelb'] },
    answer: ['green', 'red', '?'],
  },
  { model: 'total', sent: { name: 'values', datatype: 'FP32', data: [1, 2.5] }, answer: [3.5] },
];

for (const { model, sent, answer } of models) {
  test(`${model}.onnx computes on ${sent.datatype}, as JSON and as binary data`, async () => {
    await using served = await serve(model);
    const { datatype } = sent;
    assert.deepEqual(await inferJson(served.socketPath, [sent]), [answer]);
    const expected = Buffer.from(bytesOf({ name: 'out', datatype, data: answer })).toString('hex');
    assert.deepEqual(await inferBinary(served.socketPath, [sent]), [expected]);
  });
}

test('a scalar output has no dimensions', async () => {
  await using served = await serve('total');
  const inputs = [{ name: 'values', shape: [2], datatype: 'FP32', data: [1, 2] }];
  const { body } = await ask(served.socketPath, 'POST', infer, JSON.stringify({ inputs }));
  assert.deepEqual(body.outputs, [{ name: 'total', shape: [], datatype: 'FP32', data: [3] }]);
});

test('a model with an output that is no tensor, or with a type that is not served, is refused by name', async () => {
  for (const [name, message] of [
    ['zipmap', /^probabilities is a list or a map.*zipmap/],
    ['bfloat', /BFLOAT16/],
  ] as const) {
    const opened = ModelSession.open({ format: 'onnx', bytes: fixtureBytes(`${name}.onnx`), externalData: [] });
    await assert.rejects(opened, { code: 'model-interface', message });
  }
});
