import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { encodeDeviceToken, parseDeviceToken, verifyDeviceToken } from './device-token.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/identity/device-token');
const vectorSchema = z.strictObject({
  comment: z.string(),
  token: z.string(),
  secrets: z.array(z.string()),
  nowSeconds: z.int(),
  windowSeconds: z.int(),
  result: z.enum(['verified', 'malformed', 'signature', 'too-old', 'from-the-future']),
});

for (const name of readdirSync(folder)) {
  const vector = parseJson(readFileSync(join(folder, name)), vectorSchema, name);
  test(`${name}: ${vector.comment}`, () => {
    const window = { nowSeconds: vector.nowSeconds, seconds: vector.windowSeconds };
    if (vector.result === 'malformed') {
      assert.throws(() => parseDeviceToken(vector.token), { code: 'token-invalid' });
      return;
    }
    const verdict = verifyDeviceToken(parseDeviceToken(vector.token), vector.secrets, window);
    assert.equal(verdict.kind === 'verified' ? 'verified' : verdict.reason, vector.result);
  });
}

test('a token with any character changed is malformed or refused', () => {
  const token = encodeDeviceToken('press-1', 1_795_000_000, 'secret');
  const window = { nowSeconds: 1_795_000_000, seconds: 300 };
  for (let at = 0; at < token.length; at += 1) {
    const changed = token.slice(0, at) + (token[at] === '1' ? '2' : '1') + token.slice(at + 1);
    try {
      assert.equal(verifyDeviceToken(parseDeviceToken(changed), ['secret'], window).kind, 'refused');
    } catch (error) {
      assert.ok(error instanceof CoreError);
    }
  }
});

test('random text is a token or a named error', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseDeviceToken(text);
      } catch (error) {
        assert.ok(error instanceof CoreError && error.code === 'token-invalid');
      }
    }),
  );
});
