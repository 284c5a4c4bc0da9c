import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { encodeLine, LineReader, parseLine } from './guard-frames.ts';

const utf8 = (text: string) => new TextEncoder().encode(text);

test('messages come out as they went in, however the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(fc.object({ maxDepth: 1 })), fc.integer({ min: 1, max: 50 }), (values, step) => {
      const stream = Buffer.concat(values.map((value) => encodeLine(value)));
      const reader = new LineReader(1 << 20);
      const lines: string[] = [];
      for (let at = 0; at < stream.length; at += step) lines.push(...reader.read(stream.subarray(at, at + step)));
      assert.deepEqual(
        lines.map(parseLine),
        values.map((value) => JSON.parse(JSON.stringify(value))),
      );
      assert.equal(reader.pending, 0);
    }),
  );
});

test('a line over the limit is refused as soon as it is, whether or not it ends', () => {
  const tooLong = { name: 'CoreError', code: 'bytes-too-long' };
  assert.throws(() => new LineReader(8).read(utf8('123456789')), tooLong);
  assert.throws(() => new LineReader(8).read(utf8('123456789\n')), tooLong);
  const reader = new LineReader(8);
  assert.deepEqual(reader.read(utf8('12345678\n1234')), ['12345678']);
  assert.throws(() => reader.read(utf8('56789')), tooLong);
});

// SECURITY.md: DEV-39
test('an endless line is never held: what is kept stays below the limit', () => {
  const reader = new LineReader(1_024);
  const chunk = new Uint8Array(64 * 1_024).fill(0x78);
  assert.throws(() => reader.read(chunk));
  assert.ok(reader.pending <= 1_024);
});

test('what is not JSON is no message', () => {
  for (const text of ['', '{', '{"kind":', '\u0000', 'undefined']) assert.equal(parseLine(text), undefined);
});
