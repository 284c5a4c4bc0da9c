import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GuardError } from './error.ts';
import { parseInferenceRequest } from './inference-request.ts';
import type { TensorInterface } from './tensors/tensor.ts';

const model: { inputs: readonly TensorInterface[]; outputs: readonly TensorInterface[] } = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1] }],
};
const good = { name: 'x', shape: [1, 2], datatype: 'FP32', data: [1, 2] };

function parse(request: unknown, target = model) {
  return parseInferenceRequest(Buffer.from(JSON.stringify(request)), undefined, target);
}

function parseWithTail(request: unknown, tail: Uint8Array, headerLength?: number) {
  const json = Buffer.from(JSON.stringify(request));
  return parseInferenceRequest(Buffer.concat([json, tail]), headerLength ?? json.length, model);
}

test('flat and nested data are the same tensor', () => {
  assert.deepEqual(parse({ inputs: [good] }).inputs[0]?.data, Float32Array.of(1, 2));
  assert.deepEqual(parse({ inputs: [{ ...good, data: [[1, 2]] }] }).inputs[0]?.data, Float32Array.of(1, 2));
});

test('all outputs are given when none is asked for', () => {
  assert.deepEqual(parse({ inputs: [good] }).outputs, [{ name: 'y', binary: false }]);
});

test('an unknown parameter is ignored, as the protocol asks', () => {
  assert.equal(parse({ inputs: [good], parameters: { priority: 3 } }).id, undefined);
});

test('fields that the protocol does not name are ignored, as those of its own examples', () => {
  const extra = { model_name: 'mymodel', inputs: [{ ...good, extra: [1] }], outputs: [{ name: 'y', extra: {} }] };
  assert.deepEqual(parse(extra).outputs, [{ name: 'y', binary: false }]);
});

test('null in place of an optional field counts as left out', () => {
  const request = {
    id: null,
    parameters: { timeout: null },
    inputs: [{ ...good, parameters: null }],
    outputs: [{ name: 'y', parameters: null }],
  };
  assert.equal(parse(request).id, undefined);
  assert.deepEqual(parse({ ...request, parameters: null, outputs: null }).outputs, [{ name: 'y', binary: false }]);
  assert.deepEqual(
    parseWithTail({ inputs: [{ ...binaryInput, data: null }] }, floats(1, 2)).inputs[0]?.data,
    Float32Array.of(1, 2),
  );
});

test('a parameter that asks for what is not offered is refused by name', () => {
  const shared = { parameters: { shared_memory_region: 'r', shared_memory_byte_size: 8 } };
  for (const request of [
    { inputs: [{ ...good, ...shared }] },
    { inputs: [good], outputs: [{ name: 'y', ...shared }] },
    { inputs: [good], outputs: [{ name: 'y', parameters: { classification: 3 } }] },
  ]) {
    assert.throws(() => parse(request), { code: 'not-offered' });
  }
});

const input = (change: object) => ({ inputs: [{ ...good, ...change }] });
const refused: Readonly<Record<string, unknown>> = {
  'no inputs': { inputs: [] },
  'a text instead of a request': 'x',
  'an unknown input': { inputs: [good, { ...good, name: 'z' }] },
  'an input given twice': { inputs: [good, good] },
  'another datatype than the model takes': input({ datatype: 'FP64' }),
  'a datatype that does not exist': input({ datatype: 'FLOAT' }),
  'a datatype named like a property of every object': input({ datatype: 'constructor' }),
  'too few elements': input({ data: [1] }),
  'too many elements': input({ data: [1, 2, 3] }),
  'no data at all': input({ data: undefined }),
  'an element that is a text': input({ data: ['1', 2] }),
  'an element that is null': input({ data: [null, 2] }),
  'a number that FP32 makes infinite': input({ data: [1e39, 2] }),
  'lists nested otherwise than the shape says': input({ data: [[1], [2]] }),
  'lists nested deeper than the shape says': input({ data: [[[1, 2]]] }),
  'another rank than the model takes': input({ shape: [2] }),
  'another size than the model takes': input({ shape: [2, 1] }),
  'a size of zero': input({ shape: [0, 2], data: [] }),
  'a negative size': input({ shape: [-1, -2] }),
  'a size that is not whole': input({ shape: [0.5, 4] }),
  'a shape whose product is huge': input({ shape: [33_000_000, 33_000_000] }),
  'more dimensions than the limit': input({ shape: [1, 1, 1, 1, 1, 1, 1, 1, 2] }),
  'an unknown output': { inputs: [good], outputs: [{ name: 'z' }] },
  'an output asked for twice': { inputs: [good], outputs: [{ name: 'y' }, { name: 'y' }] },
  'both data and binary data': input({ parameters: { binary_data_size: 8 } }),
  'binary data without bytes': input({ data: undefined, parameters: { binary_data_size: 8 } }),
  'a parameter that is a list': { inputs: [good], parameters: { a: [1] } },
};

for (const [what, request] of Object.entries(refused)) {
  test(`a request with ${what} is refused`, () => {
    assert.throws(() => parse(request), { name: 'GuardError', code: 'request-invalid' });
  });
}

test('elements outside their datatype are refused', () => {
  for (const [datatype, data] of [
    ['UINT8', [256]],
    ['UINT8', [-1]],
    ['INT8', [128]],
    ['INT32', [0.5]],
    ['UINT64', [-1]],
    ['INT64', [2 ** 53]],
    ['BOOL', [1]],
    ['BYTES', [1]],
    ['FP16', ['1']],
    ['FP16', [70_000]],
    ['BYTES', ['\ud800']],
    ['BYTES', ['a\0b']],
  ] as const) {
    const target = { inputs: [{ name: 'x', datatype, shape: [1] }], outputs: [] };
    assert.throws(() => parse({ inputs: [{ name: 'x', datatype, shape: [1], data }] }, target), {
      code: 'request-invalid',
    });
  }
});

const binaryInput = { name: 'x', shape: [1, 2], datatype: 'FP32', parameters: { binary_data_size: 8 } };
const floats = (...values: readonly number[]) => new Uint8Array(Float32Array.from(values).buffer);

test('binary data is read in place of JSON', () => {
  assert.deepEqual(parseWithTail({ inputs: [binaryInput] }, floats(1, 2)).inputs[0]?.data, Float32Array.of(1, 2));
});

test('binary data that is short, left over, of the wrong size or not finite is refused', () => {
  const refuses = (run: () => unknown) => assert.throws(run, { code: 'request-invalid' });
  refuses(() => parseWithTail({ inputs: [binaryInput] }, floats(1)));
  refuses(() => parseWithTail({ inputs: [binaryInput] }, floats(1, 2, 3)));
  refuses(() => parseWithTail({ inputs: [{ ...binaryInput, parameters: { binary_data_size: 4 } }] }, floats(1, 2)));
  refuses(() => parseWithTail({ inputs: [binaryInput] }, floats(1, Number.NaN)));
  refuses(() => parseWithTail({ inputs: [binaryInput] }, floats(1, -Infinity)));
  refuses(() => parseWithTail({ inputs: [binaryInput] }, floats(1, 2), 10_000));
  refuses(() => parseWithTail({ inputs: [good] }, new Uint8Array(), 0));
});

test('BYTES as binary data are lengths and texts; what is short, left over or no text is refused', () => {
  const target = { inputs: [{ name: 'x', datatype: 'BYTES', shape: [-1] } as const], outputs: [] };
  const parseBytes = (bytes: Uint8Array, length = 2) => {
    const parameters = { binary_data_size: bytes.length };
    const json = Buffer.from(
      JSON.stringify({ inputs: [{ name: 'x', shape: [length], datatype: 'BYTES', parameters }] }),
    );
    return parseInferenceRequest(Buffer.concat([json, bytes]), json.length, target).inputs[0]?.data;
  };
  const two = Buffer.from([0, 0, 0, 0, 5, 0, 0, 0, ...Buffer.from('grün')]);
  assert.deepEqual(parseBytes(two), ['', 'grün']);
  for (const wrong of [two.subarray(0, -1), two.subarray(0, 6), Buffer.concat([two, two]), Buffer.of(1, 0, 0, 0, 0xff)])
    assert.throws(() => parseBytes(wrong), { code: 'request-invalid' });
  assert.throws(() => parseBytes(Buffer.of(0xff, 0xff, 0xff, 0xff), 1), { code: 'request-invalid' });
  assert.throws(() => parseBytes(Buffer.of(1, 0, 0, 0, 0xff), 1), { code: 'request-invalid' });
});

test('bytes that are not UTF-8 are refused', () => {
  assert.throws(() => parseInferenceRequest(Uint8Array.of(0x22, 0xff, 0x22), undefined, model), {
    code: 'request-invalid',
  });
});

// SECURITY.md: DEV-100
test('objects, members and lists are counted before the text is parsed: what cannot be parsed is refused for their number', () => {
  const refusedFor = (text: string) => {
    try {
      parseInferenceRequest(Buffer.from(text), undefined, model);
    } catch (error) {
      return error instanceof GuardError ? `${error.code}: ${error.message.split(':')[0]}` : String(error);
    }
    return 'accepted';
  };
  // None of these ends, so a parser would refuse each as no JSON.
  assert.equal(refusedFor(`{"inputs":[${'{},'.repeat(1_000_000)}`), 'request-invalid: more than 258 objects');
  assert.equal(
    refusedFor(`{"parameters":{${'"a":1,'.repeat(100_000)}`),
    'request-invalid: more than 8192 members of objects',
  );
  assert.equal(refusedFor(`{"inputs":[${'[],'.repeat(2_000_000)}`), 'request-invalid: more than 1048576 lists');
  assert.equal(refusedFor('{"inputs":['), 'request-invalid: the body is not JSON in UTF-8');
});

test('texts may have as many braces and colons as they like, and nested data as many lists as elements', () => {
  const target = { inputs: [{ name: 'x', datatype: 'BYTES', shape: [-1] } as const], outputs: [] };
  const program = String.raw`{"a": {"b": "c\"{", 'd': [{}]}}`.repeat(10_000);
  const data = [program, `${program}\\`, '"{:['];
  assert.deepEqual(
    parse({ inputs: [{ name: 'x', shape: [3], datatype: 'BYTES', data }] }, target).inputs[0]?.data,
    data,
  );
  const rows = Array.from({ length: 200_000 }, () => [1, 2]);
  assert.equal(parse({ inputs: [{ ...good, shape: [rows.length, 2], data: rows }] }).inputs[0]?.data.length, 400_000);
});

test('the most inputs and outputs with parameters are within the number of objects', () => {
  const parameters = { a: 1 };
  const inputs = Array.from({ length: 64 }, (_, at) => ({ ...good, name: `x${at}`, parameters }));
  const outputs = Array.from({ length: 64 }, (_, at) => ({ name: `y${at}`, parameters }));
  assert.throws(() => parse({ parameters, inputs, outputs }), { code: 'request-invalid', message: /no input x0/ });
});
