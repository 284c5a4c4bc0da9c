import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as holds, constantFrom, letrec, oneof, property, tuple } from 'fast-check';
import { z } from 'zod';
import { utf8 } from './bytes.ts';
import { JsonBounds } from './json-bounds.ts';
import { parseJson } from './json.ts';
import { assertEveryMember, assertUniqueKeys } from './unique-keys.ts';

const anything = z.unknown();
const membersIn = (text: string) => {
  const bounds = new JsonBounds({ depth: 32, values: 1_000_000 }, 'a text');
  bounds.push(utf8(text));
  return bounds.members;
};

const doubled = [
  '{"a":1,"a":2}',
  '{"a":1,"b":{"c":[{"d":1,"e":2,"d":3}]}}',
  // The same key in another spelling.
  String.raw`{"a":1,"\u0061":2}`,
  '{"__proto__":1,"__proto__":2}',
  '{"a":{"b":1},"a":{"b":1}}',
  '[[],[{"":1,"":1}]]',
];

test('an object with one key twice is refused by the key, at any depth and in any spelling', () => {
  for (const text of doubled) {
    const refused = { code: 'json-invalid', message: /^document: the key "[^"]*" occurs twice/ };
    assert.throws(() => parseJson(utf8(text), anything, 'document'), refused, text);
  }
});

test('the same key in two objects, colons and quotes within strings, and numbers as keys are no doubles', () => {
  for (const text of [
    '[{"a":1},{"a":1}]',
    '{"a":{"a":{"a":1}}}',
    String.raw`{"a":"\"b\":1,\"b\":2","b":":::"}`,
    '{"1":1,"01":2,"__proto__":{"toString":1}}',
    '"a:b"',
    'null',
  ])
    assert.doesNotThrow(() => parseJson(utf8(text), anything, 'document'), text);
});

// Texts with few keys, so that some meet.
const { text: texts } = letrec<{ text: string }>((tie) => ({
  text: oneof(
    { maxDepth: 4 },
    constantFrom('1', '":"', String.raw`"\"a\":1"`, '[]', '{}', 'null'),
    array(tie('text'), { maxLength: 3 }).map((values) => `[${values.join(', ')}]`),
    array(tuple(constantFrom('a', 'b', 'c', ''), tie('text')), { maxLength: 3 }).map(
      (members) => `{${members.map(([key, value]) => `"${key}" : ${value}`).join(',')}}`,
    ),
  ),
}));

test('counting finds a double exactly where reading key by key does', () => {
  const verdict = (check: () => void) => {
    try {
      check();
      return 'single';
    } catch {
      return 'double';
    }
  };
  holds(
    property(texts, (text) => {
      const value: unknown = JSON.parse(text);
      const counted = verdict(() =>
        assertEveryMember({ text, value, members: membersIn(text) }, 'a text', 'json-invalid'),
      );
      assert.equal(
        counted,
        verdict(() => assertUniqueKeys(text, 'a text', 'json-invalid')),
      );
    }),
  );
});
