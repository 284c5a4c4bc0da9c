import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { parseValue } from './json.ts';
import { brokenRulesText, ruleWords } from './rule-words.ts';

test('no message shows a regular expression', () => {
  for (const [pattern, words] of [
    [/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case'],
    [/^[A-Za-z0-9_-]*$/, 'expected base64url without padding'],
    [/^[^\s+]+$/, 'expected a name without spaces and without a plus sign'],
    [/^(?:x|y)\/[a-z]$/u, 'expected a text of another form: its page in spec/ has the rule'],
  ] as const)
    assert.throws(() => parseValue({ a: '+ ' }, z.object({ a: z.string().regex(pattern) }), 'settings'), {
      message: `settings at a: ${words}`,
    });
  assert.equal(ruleWords('expected a name'), 'expected a name');
});

test('a value with one of several forms is refused by the form that it comes nearest to: the field, what is expected and what came', () => {
  const device = z.strictObject({
    id: z.string(),
    tags: z.record(z.string().regex(/^[0-9a-f]{2}$/), z.string()).optional(),
  });
  const form = z.union([device, z.strictObject({ block: z.string(), reason: z.string() })]);
  for (const [value, message] of [
    [{ id: 7 }, 'line 3 at id: expected string, found number'],
    [{ id: 'a', tags: { ff: 5 } }, 'line 3 at tags.ff: expected string, found number'],
    [{ id: 'a', tags: { x: '5' } }, 'line 3 at tags.x: expected 2 hex digits in lower case'],
    [{ block: 'a' }, 'line 3 at reason: it is missing (expected string)'],
    [{ id: 'a', tagz: {} }, 'line 3: it has a member that is not known: "tagz"'],
    [[], 'line 3: expected object, found array'],
  ] as const)
    assert.throws(() => parseValue(value, form, 'line 3'), { message });
  assert.throws(() => parseValue('c', z.enum(['a', 'b']), 'x'), { message: 'x: expected one of "a"|"b"' });
});

test('a size is said in words', () => {
  for (const [schema, value, message] of [
    [z.string().min(1), '', 'expected at least 1 character'],
    [z.string().max(2), 'abc', 'expected at most 2 characters'],
    [z.array(z.string()).max(1), ['a', 'b'], 'expected at most 1 item'],
    [z.number().max(5), 9, 'expected a number of at most 5'],
    [z.number().positive(), 0, 'expected a number of more than 0'],
  ] as const)
    assert.equal(brokenRulesText(schema.safeParse(value).error?.issues ?? []), message);
});

// SECURITY.md: HUB-107
test('a message stays short, also of a value with very long or very many members', () => {
  const long = 'k'.repeat(60_000);
  const schema = z.strictObject({ tags: z.record(z.string(), z.string()).optional() });
  const many = Object.fromEntries(Array.from({ length: 6_000 }, (_, at) => [`secret${at}`, 1]));
  for (const value of [{ [long]: 1 }, many, { tags: { [long]: 5 } }, { tags: { ['\u{1f600}'.repeat(40)]: 5 } }])
    assert.throws(
      () => parseValue(value, z.union([schema, z.strictObject({ block: z.string() })]), 'line'),
      ({ message }: Error) => message.length < 400 && message.isWellFormed() && message.startsWith('line'),
    );
});

test('settings are refused with every field that is wrong', () => {
  const { error } = z.strictObject({ port: z.int(), name: z.string() }).safeParse({ port: 'x', nam: 'y' });
  assert.equal(
    brokenRulesText(error?.issues ?? []),
    'port: expected number, found string; name: it is missing (expected string); it has a member that is not known: "nam"',
  );
});
