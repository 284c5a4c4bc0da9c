import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { parseValue } from './json.ts';
import { ruleWords } from './rule-words.ts';

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
