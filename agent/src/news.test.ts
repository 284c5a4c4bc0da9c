import assert from 'node:assert/strict';
import { test } from 'node:test';
import { News } from './news.ts';

test('the same is told once, again after an hour, and at once when something else was told or it was over', () => {
  let now = 0;
  const news = new News(() => now);
  assert.deepEqual([news.take('a'), news.take('a')], [true, false]);
  now = 3_599_999;
  assert.equal(news.take('a'), false);
  now = 3_600_000;
  assert.deepEqual([news.take('a'), news.take('a'), news.take('b'), news.take('a')], [true, false, true, true]);
  news.clear();
  assert.equal(news.take('a'), true);
});
