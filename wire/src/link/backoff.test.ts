import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelayMs, failuresAfter } from './backoff.ts';

const settings = { firstDelayMs: 100, maxDelayMs: 1000 };

test('the first attempt does not wait, and later ones double up to the maximum', () => {
  const delays = [0, 1, 2, 3, 4, 5, 1000].map((failures) => backoffDelayMs(settings, failures, 0.999_999));
  assert.deepEqual(delays, [0, 100, 200, 400, 800, 1000, 1000]);
});

// SECURITY.md: NET-08
test('jitter takes away at most half', () => {
  assert.equal(backoffDelayMs(settings, 1, 0), 50);
  assert.equal(backoffDelayMs(settings, 9, 0), 500);
});

test('a connection that was stable forgives all failures but one, and one that was cut at once forgives none', () => {
  assert.equal(failuresAfter(7, 10_000), 1);
  assert.equal(failuresAfter(7, 3_600_000), 1);
  assert.equal(failuresAfter(7, 9_999), 7);
  assert.equal(failuresAfter(1, 0), 1);
});

test('a hub that accepts and cuts at once is asked less and less often', () => {
  let failures = 0;
  const delays = Array.from({ length: 5 }, () => {
    const delay = backoffDelayMs(settings, failures, 0.999_999);
    failures = failuresAfter(failures + 1, 50);
    return delay;
  });
  assert.deepEqual(delays, [0, 100, 200, 400, 800]);
});
