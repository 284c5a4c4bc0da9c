import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '@edgekeep/core/bytes';
import { z } from 'zod';
import { answerOf } from './hub-api.ts';

const schema = z.object({ size: z.int() });
const reply = (status: number, body: unknown) => ({ status, headers: {}, body: utf8(JSON.stringify(body)) });
const refusal = (code: string, message = 'no') => ({
  error: { code, message, reasons: [{ code: 'why', message: 'so' }] },
});

test('an answer in its form is a value', () => {
  assert.deepEqual(answerOf(reply(200, { size: 3 }), '/x', schema), { kind: 'ok', value: { size: 3 } });
});

test('a refusal is a value with its reasons, cut to what a log can hold', () => {
  const answer = answerOf(reply(403, refusal('device-quarantined', 'x'.repeat(10_000))), '/x', schema);
  assert(answer.kind === 'refused');
  assert.deepEqual([answer.code, answer.message.length, answer.reasons.length], ['device-quarantined', 600, 1]);
});

test('an answer in an unknown form is an error, never a value and never a refusal', () => {
  assert.throws(() => answerOf(reply(200, { size: 'three' }), '/x', schema), { code: 'json-schema' });
  assert.throws(() => answerOf({ status: 200, headers: {}, body: utf8('{') }, '/x', schema), { code: 'json-invalid' });
  assert.throws(() => answerOf(reply(403, { no: 'form' }), '/x', schema), { code: 'hub-answer-invalid' });
  assert.throws(() => answerOf(reply(302, {}), '/x', schema), { code: 'hub-answer-invalid' });
});

test('a hub in trouble has refused nothing: it is asked again', () => {
  for (const status of [429, 500, 503]) {
    assert.throws(() => answerOf(reply(status, refusal('device-quarantined')), '/x', schema), { code: 'hub-refused' });
  }
});
