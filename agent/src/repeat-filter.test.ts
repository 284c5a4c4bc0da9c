import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RepeatFilter } from './repeat-filter.ts';

test('the same message passes once, again after an hour, and at once after another message or after its end', () => {
  let now = 0;
  const filter = new RepeatFilter(() => now);
  assert.deepEqual([filter.passes('a'), filter.passes('a')], [true, false]);
  now = 3_599_999;
  assert.equal(filter.passes('a'), false);
  now = 3_600_000;
  assert.deepEqual(
    [filter.passes('a'), filter.passes('a'), filter.passes('b'), filter.passes('a')],
    [true, false, true, true],
  );
  filter.clear();
  assert.equal(filter.passes('a'), true);
});
