import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OneOf } from './one-of.ts';

test('a fleet begins spread over all, and each goes to another one when its own ends', () => {
  const begun = [0, 0.4, 0.9].map((number) => new OneOf(['a', 'b', 'c'], () => number).current);
  assert.deepEqual(begun, ['a', 'b', 'c']);
  let number = 0;
  const one = new OneOf(['a', 'b', 'c'], () => number);
  for (number of [0, 0.5, 0.99, 0.2, 0.7]) {
    const before = one.current;
    one.change();
    assert.notEqual(one.current, before);
  }
});

test('the only one stays', () => {
  const one = new OneOf(['a'], () => 0.9);
  one.change();
  assert.equal(one.current, 'a');
});
