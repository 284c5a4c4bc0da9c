import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffDelayMs } from './backoff.ts';

const settings = { firstDelayMs: 100, delayMsMax: 1000 };

test('the first attempt does not wait, and later ones double up to the maximum', () => {
  const delays = [0, 1, 2, 3, 4, 5, 1000].map((failures) => backoffDelayMs(settings, failures, 0.999_999));
  assert.deepEqual(delays, [0, 100, 200, 400, 800, 1000, 1000]);
});

// SECURITY.md: NET-08
test('jitter takes away at most half', () => {
  assert.equal(backoffDelayMs(settings, 1, 0), 50);
  assert.equal(backoffDelayMs(settings, 9, 0), 500);
});
