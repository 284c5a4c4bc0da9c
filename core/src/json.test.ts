import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseUtf8, utf8 } from './bytes.ts';
import { encodeCanonicalJson, type Json, parseCanonicalJson, parseJson } from './json.ts';

const anything = z.custom<Json>();

test('canonical JSON sorts keys, leaves out white space and undefined members', () => {
  const text = parseUtf8(encodeCanonicalJson({ b: [1, 'é', null], a: { d: true, c: undefined } }), 'json');
  assert.equal(text, '{"a":{"d":true},"b":[1,"é",null]}');
});

test('what was encoded parses to the same value', () => {
  const leaf = fc.oneof(fc.maxSafeInteger(), fc.string(), fc.boolean(), fc.constant(null));
  const { value } = fc.letrec<{ value: Json }>((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, leaf, fc.array(tie('value')), fc.dictionary(fc.string(), tie('value'))),
  }));
  fc.assert(
    fc.property(value, (json) => {
      const bytes = encodeCanonicalJson(json);
      assert.deepEqual(encodeCanonicalJson(parseCanonicalJson(bytes, anything, 'json')), bytes);
    }),
  );
});

test('a duplicate key, white space, another order, a fraction or a lone surrogate is not canonical', () => {
  const texts = [
    '{"a":1,"a":2}',
    '{ "a":1}',
    '{"b":1,"a":2}',
    '[0.5]',
    '[1e2]',
    '[-0]',
    String.raw`["\ud800"]`,
    '["\\u0041"]',
  ];
  for (const text of texts) {
    assert.throws(() => parseCanonicalJson(utf8(text), anything, 'json'), { code: 'json-not-canonical' }, text);
  }
});

test('nesting that would exhaust the stack is a named error', () => {
  const deep = utf8('['.repeat(100_000) + ']'.repeat(100_000));
  assert.throws(() => parseCanonicalJson(deep, anything, 'json'), { code: 'json-invalid' });
  assert.throws(() => parseJson(deep, anything, 'json'), { code: 'json-invalid' });
});

test('bytes that are no JSON, or no UTF-8, are a named error', () => {
  assert.throws(() => parseJson(utf8('{'), anything, 'json'), { code: 'json-invalid' });
  assert.throws(() => parseJson(Uint8Array.of(0x22, 0xff, 0x22), anything, 'json'), { code: 'encoding-invalid' });
});

test('a value of another shape names where it differs', () => {
  const schema = z.strictObject({ a: z.object({ b: z.number() }) });
  assert.throws(() => parseJson(utf8('{"a":{"b":"x"}}'), schema, 'document'), {
    code: 'json-schema',
    message: /document at a\.b/,
  });
});

test('text that is no JSON is refused with the place of the fault', () => {
  const text = '{\n "id": "press-7",\n "tags": {"line": "press" "x"}\n, "groups": ["abcdefghijklmnopqrstuvwxyz"]}';
  assert.throws(() => parseJson(utf8(text), z.unknown(), 'fleet.json'), {
    code: 'json-invalid',
    message: 'fleet.json: not JSON: line 3, column 27',
  });
});
