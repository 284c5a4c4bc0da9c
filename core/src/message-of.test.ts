import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageOf } from './message-of.ts';

test('an error says its message, and anything else its text', () => {
  assert.equal(messageOf(new TypeError('no disk')), 'no disk');
  assert.equal(messageOf('no disk'), 'no disk');
  assert.equal(messageOf(undefined), 'undefined');
});
