import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { concat, equalBytes } from '../bytes.ts';
import { layoutOfPlaintext } from './floe-layout.ts';
import { FloeReader } from './floe-reader.ts';
import { type ByteSource, decryptStream, encryptStream } from './floe-stream.ts';

const key = randomBytes(32);
const associatedData = randomBytes(32);

const bytes = fc.uint8Array({ maxLength: 300, size: 'max' });
const segmentLengths = fc.oneof(fc.integer({ min: 33, max: 80 }), fc.constantFrom(1 << 20, 0xfffffffe));

async function* chunked(whole: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(0);
  for (let offset = 0; offset < whole.length; offset += length) yield whole.slice(offset, offset + length);
}

async function gather(chunks: ByteSource): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk.slice());
  return concat(...parts);
}

const seal = (plaintext: Uint8Array, segmentLength: number, chunk = 1000) =>
  gather(encryptStream(chunked(plaintext, chunk), key, associatedData, { randomBytes, segmentLength }));

test('sealed bytes open to the same bytes for all segment lengths and chunks', async () => {
  const lengths = fc.integer({ min: 1, max: 120 });
  await fc.assert(
    fc.asyncProperty(bytes, segmentLengths, lengths, lengths, async (plaintext, segmentLength, inward, outward) => {
      const sealed = await seal(plaintext, segmentLength, inward);
      assert.equal(sealed.length, layoutOfPlaintext(plaintext.length, segmentLength).ciphertextLength);
      const opened = await gather(decryptStream(chunked(sealed, outward), key, associatedData));
      assert.ok(equalBytes(opened, plaintext));
    }),
  );
});

test('every cut of a file is refused, and gives no byte that is not the beginning of the plaintext', async () => {
  const plaintext = randomBytes(100);
  const sealed = await seal(plaintext, 64);
  for (let length = 0; length < sealed.length; length += 1) {
    const opened: Uint8Array[] = [];
    const open = async () => {
      for await (const chunk of decryptStream(chunked(sealed.subarray(0, length), 50), key, associatedData)) {
        opened.push(chunk.slice());
      }
    };
    await assert.rejects(open(), { name: 'CoreError', code: 'sealed-model-invalid' });
    const given = concat(...opened);
    assert.ok(equalBytes(given, plaintext.subarray(0, given.length)));
  }
});

// SECURITY.md: DEV-22
test('every changed bit of a file is refused, by all the ways to open it', async () => {
  const sealed = await seal(randomBytes(40), 48);
  for (let bit = 0; bit < sealed.length * 8; bit += 1) {
    const changed = sealed.slice();
    changed[bit >> 3] = (sealed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const refusal = { name: 'CoreError', code: /^sealed-model-(key|invalid)$/ };
    await assert.rejects(gather(decryptStream(chunked(changed, 500), key, associatedData)), refusal);
    const read = async (offset: number, length: number) => changed.subarray(offset, offset + length);
    await assert.rejects(async () => {
      using reader = await FloeReader.open(read, changed.length, key, associatedData);
      await reader.read(0, reader.plaintextLength);
    }, refusal);
  }
});

test('two seals of the same bytes under the same key have nothing in common but the parameters', async () => {
  const plaintext = new Uint8Array(64);
  const [one, two] = [await seal(plaintext, 48), await seal(plaintext, 48)];
  assert.deepEqual(one.subarray(0, 10), two.subarray(0, 10));
  assert.notDeepEqual(one.subarray(10, 42), two.subarray(10, 42));
  assert.notDeepEqual(one.subarray(94, 110), two.subarray(94, 110));
});

test('a reader that limits the segment length refuses longer ones', async () => {
  const sealed = await seal(randomBytes(10), 65);
  const open = (maxSegmentLength: number) =>
    gather(decryptStream(chunked(sealed, 9), key, associatedData, { maxSegmentLength }));
  assert.equal((await open(65)).length, 10);
  await assert.rejects(open(64), { code: 'sealed-model-invalid' });
});

test('a chunk that was handed out is zeroed when the stream is given up', async () => {
  const sealed = await seal(new Uint8Array(64).fill(7), 48);
  const stream = decryptStream(chunked(sealed, 500), key, associatedData);
  const first = await stream.next();
  assert.ok(!first.done && first.value.every((byte) => byte === 7));
  await stream.return();
  assert.ok(first.value.every((byte) => byte === 0));
});

test('an error of the source comes through as it is', async () => {
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield new Uint8Array(3);
    throw new RangeError('the disk is gone');
  }
  await assert.rejects(gather(decryptStream(broken(), key, associatedData)), RangeError);
  await assert.rejects(gather(encryptStream(broken(), key, associatedData, { randomBytes })), RangeError);
});

test('a range read at random is the same range of the plaintext, and only its segments are fetched', async () => {
  const plaintext = randomBytes(200);
  const sealed = await seal(plaintext, 48);
  const fetched: number[] = [];
  const read = async (offset: number, length: number) => {
    fetched.push((offset - 74) / 48);
    return sealed.subarray(offset, offset + length);
  };
  using reader = await FloeReader.open(read, sealed.length, key, associatedData);
  await fc.assert(
    fc.asyncProperty(fc.nat(200), fc.nat(200), async (one, other) => {
      const [from, to] = [Math.min(one, other), Math.max(one, other)];
      fetched.length = 0;
      assert.ok(equalBytes(await reader.read(from, to - from), plaintext.subarray(from, to)));
      assert.ok(fetched.every((position) => position >= Math.floor(from / 16) && position * 16 < to));
    }),
  );
});

test('a range outside the plaintext is refused', async () => {
  const sealed = await seal(randomBytes(20), 48);
  const read = async (offset: number, length: number) => sealed.subarray(offset, offset + length);
  using reader = await FloeReader.open(read, sealed.length, key, associatedData);
  for (const [offset, length] of [
    [0, 21],
    [20, 1],
    [-1, 2],
    [0.5, 1],
    [Number.NaN, 1],
    [2 ** 53, 1],
  ] as const) {
    await assert.rejects(reader.read(offset, length), { code: 'bytes-truncated' });
  }
  await assert.rejects(reader.segment(2), { code: 'sealed-model-invalid' });
  await assert.rejects(reader.segment(-1), { code: 'sealed-model-invalid' });
});

test('a reader whose source gives fewer bytes than asked for is refused', async () => {
  const sealed = await seal(randomBytes(20), 48);
  const read = async (offset: number, length: number) => sealed.subarray(offset, offset + length - 1);
  await assert.rejects(FloeReader.open(read, sealed.length, key, associatedData), { code: 'bytes-truncated' });
});
