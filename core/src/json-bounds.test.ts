import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assert as holds, integer, json, property } from 'fast-check';
import { JsonBounds } from './json-bounds.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);

function push(text: string, limits = { depth: 3, values: 6 }): void {
  new JsonBounds(limits, 'a text').push(bytesOf(text));
}

test('a text within both limits passes, one level or one value more is refused', () => {
  push('[[[1,2,3]]]');
  push('{"a":[{"b":"[[[[,,,,,,,,"}]}');
  assert.throws(() => push('[[[[1]]]]'), { code: 'json-invalid', message: /deeper than 3/ });
  assert.throws(() => push('[1,2,3,4,5,6,7]'), { code: 'json-invalid', message: /more than 6 values/ });
  assert.throws(() => push('[[],[],[],[]]'), { code: 'json-invalid', message: /values/ });
});

test('brackets and commas inside strings do not count, also after escapes', () => {
  push(String.raw`["\"[[[[", "\\", "\\\"[[[[,,,,,,,", "]]]]"]`);
  assert.throws(() => push(String.raw`["\\",[[[1]]]]`), { message: /deeper/ });
});

test('the verdict is the same however the text is cut into chunks', () => {
  const verdict = (chunks: readonly Uint8Array[]) => {
    const bounds = new JsonBounds({ depth: 4, values: 12 }, 'a text');
    try {
      for (const chunk of chunks) bounds.push(chunk);
      return 'passes';
    } catch (error) {
      return error instanceof Error ? error.message : 'failed';
    }
  };
  holds(
    property(json({ maxDepth: 6 }), integer({ min: 1, max: 7 }), (text, length) => {
      const bytes = bytesOf(text);
      const count = Math.ceil(bytes.length / length);
      const chunks = Array.from({ length: count }, (_, at) => bytes.subarray(at * length, (at + 1) * length));
      assert.equal(verdict(chunks), verdict([bytes]));
    }),
  );
});

test('values are counted as JSON.parse makes them', () => {
  const valuesOf = (value: unknown): number =>
    typeof value === 'object' && value !== null
      ? Math.max(1, Object.keys(value).length) + Object.values(value).reduce((sum, each) => sum + valuesOf(each), 0)
      : 0;
  holds(
    property(json({ maxDepth: 5 }), (text) => {
      const values = valuesOf(JSON.parse(text));
      push(text, { depth: 100, values });
      if (values > 0) assert.throws(() => push(text, { depth: 100, values: values - 1 }), { message: /values/ });
    }),
  );
});
