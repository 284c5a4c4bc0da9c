import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { concat, toHex, utf8 } from '../bytes.ts';
import { openFile, openFileAt, sealedFileKey, sealFile } from './sealed-file.ts';

const modelKey = randomBytes(32);
const binding = { path: 'weights/surface.onnx', manifestDigest: randomBytes(32) };
const plaintext = randomBytes(5000);

async function gather(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk.slice());
  return concat(...parts);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const seal = () => gather(sealFile(once(plaintext), modelKey, binding, { randomBytes, segmentLength: 1024 }));

test('the file key is HKDF-SHA-256 over the model key and the path, as RFC 5869 spells it', () => {
  const extracted = createHmac('sha256', new Uint8Array(32)).update(modelKey).digest();
  const info = concat(utf8('edgekeep sealed file v1'), Uint8Array.of(0), utf8('a/ü.onnx'), Uint8Array.of(1));
  const expected = createHmac('sha256', extracted).update(info).digest('hex');
  assert.equal(toHex(sealedFileKey(modelKey, 'a/ü.onnx')), expected);
});

test('a sealed file opens with its model key, path and manifest', async () => {
  const sealed = await seal();
  assert.deepEqual(Buffer.from(await gather(openFile(once(sealed), modelKey, binding))), plaintext);
  const read = async (offset: number, length: number) => sealed.subarray(offset, offset + length);
  using reader = await openFileAt(read, sealed.length, modelKey, binding);
  assert.deepEqual(Buffer.from(await reader.read(1000, 3000)), plaintext.subarray(1000, 4000));
});

test('a sealed file does not open under another path, another manifest or another model key', async () => {
  const sealed = await seal();
  const refusal = { name: 'CoreError', code: 'sealed-model-key' };
  const open = (key: Uint8Array, changed: Partial<typeof binding>) =>
    gather(openFile(once(sealed), key, { ...binding, ...changed }));
  await assert.rejects(open(modelKey, { path: 'weights/other.onnx' }), refusal);
  await assert.rejects(open(modelKey, { manifestDigest: randomBytes(32) }), refusal);
  await assert.rejects(open(randomBytes(32), {}), refusal);
});

test('model keys and manifest digests of a wrong length, and paths that are none, are refused', async () => {
  assert.throws(() => sealedFileKey(randomBytes(31), 'a'), { code: 'sealed-model-key' });
  assert.throws(() => sealedFileKey(modelKey, ''), { code: 'model-path-invalid' });
  assert.throws(() => sealedFileKey(modelKey, 'a\ud800'), { code: 'model-path-invalid' });
  const short = { ...binding, manifestDigest: randomBytes(31) };
  await assert.rejects(gather(sealFile(once(plaintext), modelKey, short, { randomBytes })), {
    code: 'sealed-model-invalid',
  });
});

test('segments longer than a device makes room for are refused before memory is taken', async () => {
  const sealed = await gather(
    sealFile(once(plaintext), modelKey, binding, { randomBytes, segmentLength: 65 * 2 ** 20 }),
  );
  await assert.rejects(gather(openFile(once(sealed), modelKey, binding)), { code: 'sealed-model-invalid' });
});
