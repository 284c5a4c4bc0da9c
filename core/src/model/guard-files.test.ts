import assert from 'node:assert/strict';
import { test } from 'node:test';
import { externalDataLocation, filesForGuard, modelFileOf } from './guard-files.ts';

const file = (path: string, role: string, mediaType = 'application/octet-stream') => ({ path, role, mediaType });
const onnx = file('models/a.onnx', 'primary');
const ort = file('models/a.ort', 'primary');
const second = file('models/b.onnx', 'fallback');
const data = file('models/a.bin', 'data');
const plan = file('a.plan', 'opaque');

test('the .ort twin is run rather than the .onnx, in any order of the files', () => {
  assert.equal(modelFileOf([onnx, ort], 'primary'), ort);
  assert.equal(modelFileOf([ort, onnx], 'primary'), ort);
});

test('the media type decides before the ending', () => {
  const named = file('model.bin', 'primary', 'application/x-onnxruntime');
  assert.equal(modelFileOf([onnx, named], 'primary'), named);
});

test('external data is opened only when an .onnx is run', () => {
  assert.deepEqual(filesForGuard([onnx, data, plan]), [onnx, data]);
  assert.deepEqual(filesForGuard([onnx, ort, data, plan]), [ort]);
  assert.deepEqual(filesForGuard([ort, data, second]), [ort, data, second]);
});

test('a manifest without a model the guard can run is refused', () => {
  assert.throws(() => filesForGuard([plan, data]), { name: 'CoreError', code: 'manifest-invalid' });
  assert.throws(() => filesForGuard([file('a.tflite', 'primary')]), { code: 'manifest-invalid' });
});

test('external data is named from the folder of its model', () => {
  assert.equal(externalDataLocation('models/a.onnx', 'models/parts/a.bin'), 'parts/a.bin');
  assert.equal(externalDataLocation('a.onnx', 'a.bin'), 'a.bin');
  assert.equal(externalDataLocation('models/a.onnx', 'other/a.bin'), 'other/a.bin');
});
