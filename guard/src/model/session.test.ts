import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixtureBytes, flatImage } from '../fixtures/serve.ts';
import { ModelSession } from './session.ts';

const image = {
  name: 'image',
  datatype: 'FP32',
  shape: [1, 1, 8, 8],
  data: Float32Array.from(flatImage(0.75)),
} as const;

// SECURITY.md: DEV-31, DEV-34
test('a released model leaves only zeros where its bytes were', async () => {
  const bytes = fixtureBytes('external.onnx');
  const data = fixtureBytes('external.bin');
  const session = await ModelSession.open({
    format: 'onnx',
    bytes,
    externalData: [{ location: 'external.bin', bytes: data }],
  });
  const [scores] = await session.run([image], ['scores']);
  assert.deepEqual(scores?.data, Float32Array.of(-5, 5));
  await session[Symbol.asyncDispose]();
  assert(bytes.every((byte) => byte === 0) && data.every((byte) => byte === 0));
});

test('bytes that cannot be loaded are zeroed too', async () => {
  const bytes = fixtureBytes('primary.onnx').subarray(0, 100);
  await assert.rejects(ModelSession.open({ format: 'onnx', bytes, externalData: [] }), {
    name: 'GuardError',
    code: 'model-load',
  });
  assert(bytes.every((byte) => byte === 0));
});

test('a model without its external data is refused by name', async () => {
  const model = { format: 'onnx', bytes: fixtureBytes('external.onnx'), externalData: [] } as const;
  await assert.rejects(ModelSession.open(model), { code: 'model-load' });
});

test('an .onnx given as .ort, and the other way round, is refused by name', async () => {
  const model = { format: 'ort', bytes: fixtureBytes('primary.onnx'), externalData: [] } as const;
  await assert.rejects(ModelSession.open(model), { code: 'model-load' });
});

test('no byte of a model changed or cut off brings the process down', async () => {
  const good = fixtureBytes('primary.onnx');
  let refused = 0;
  for (let at = 0; at < good.length; at += 7) {
    const changed = Buffer.from(good);
    changed[at] = (changed[at] ?? 0) ^ 0xff;
    for (const bytes of [changed, Buffer.from(good.subarray(0, at))]) {
      try {
        await using _ = await ModelSession.open({ format: 'onnx', bytes, externalData: [] });
      } catch (error) {
        assert(error instanceof Error && 'code' in error, String(error));
        refused += 1;
      }
    }
  }
  assert.notEqual(refused, 0);
});
