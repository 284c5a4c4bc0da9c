// Pictures and arrays that somebody else made, as a publisher gives them to `guard calibrate` and `guard try`.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readImage } from './picture.ts';

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

/** A file that ends after the size of its picture: what is refused by that size alone has it, and nothing that could be unpacked. */
function pngHead(width: number, height: number): Buffer {
  const head = Buffer.alloc(16);
  head.writeUInt32BE(13);
  head.write('IHDR', 4);
  head.writeUInt32BE(width, 8);
  head.writeUInt32BE(height, 12);
  return Buffer.concat([signature, head]);
}

function numpy(shape: string, values: readonly number[]): Buffer {
  const header = Buffer.from(`{'descr': '<f4', 'fortran_order': False, 'shape': (${shape}), }\n`);
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]);
  return Buffer.concat([start, header, Buffer.from(Float32Array.from(values).buffer)]);
}

function read(name: string, bytes: Buffer, shape: readonly number[]) {
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-picture-'));
  try {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    const tensor = { name: 'image', datatype: 'FP32', shape } as const;
    return readImage(file, { tensor, layout: 'NCHW', values: { black: 0, white: 1 } });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test('a picture is refused by the size in its head, before it is unpacked', () => {
  assert.throws(() => read('a.png', pngHead(4_000, 4_000), [-1, 3, 8, 8]), /4000 x 4000 pixels, the model takes 8 x 8/);
  assert.throws(() => read('a.png', pngHead(12_000, 12_000), [-1, 3, -1, -1]), /at most/);
  assert.throws(() => read('a.png', signature, [-1, 3, -1, -1]), /not a PNG picture/);
  assert.throws(() => read('a.png', pngHead(8, 8), [-1, 3, 8, 8]), /not a PNG picture/);
});

test('an array has whole sizes above 0 and finite values', () => {
  const zeros = Array.from({ length: 64 }, () => 0);
  assert.deepEqual(read('a.npy', numpy('1, 1, 8, 8', zeros), [-1, 1, -1, -1]).shape, [1, 1, 8, 8]);
  for (const [shape, values] of [
    ['1, 1, -8, -8', zeros],
    ['1, 1, 0x8, 8', zeros],
    ['1, 1, 0.5, 128', zeros],
    ['0, 1, 8, 8', []],
  ] as const)
    assert.throws(() => read('a.npy', numpy(shape, values), [-1, 1, -1, -1]), /its shape is/, shape);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => read('a.npy', numpy('1, 1, 8, 8', zeros.with(5, value)), [-1, 1, -1, -1]), /not finite/);
});
