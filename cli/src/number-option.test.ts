import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from './command.ts';
import { countIn, secondsIn } from './number-option.ts';

const given = (text: string | undefined) => ({ option: () => text });

test('hours and days become seconds, and a fraction of a second counts as a whole one', () => {
  assert.equal(secondsIn(given('24'), 'hours', 'hours'), 86_400);
  assert.equal(secondsIn(given('0.5'), 'days', 'days'), 43_200);
  assert.equal(secondsIn(given('.00001'), 'hours', 'hours'), 1);
  assert.equal(secondsIn(given('0'), 'overlap', 'hours', { mayBeZero: true }), 0);
  assert.equal(secondsIn(given(undefined), 'hours', 'hours'), undefined);
});

test('a text that is not a number of hours is refused by the name of the option', () => {
  for (const text of ['', ' ', 'x', '-1', '0', '0.0', '1e3', '0x10', 'Infinity', 'NaN', '1,5', '999999'])
    assert.throws(
      () => secondsIn(given(text), 'hours', 'hours'),
      (error) => error instanceof UsageError && error.message.startsWith('--hours takes a number of hours'),
      text,
    );
  assert.throws(() => secondsIn(given('-1'), 'overlap', 'hours', { mayBeZero: true }), UsageError);
});

test('a count is a whole number above 0', () => {
  assert.equal(countIn(given('12'), 'uses'), 12);
  assert.equal(countIn(given(undefined), 'uses'), undefined);
  for (const text of ['', '0', '01', '1.5', '-1', '1e3', 'Infinity'])
    assert.throws(() => countIn(given(text), 'uses'), UsageError, text);
});
