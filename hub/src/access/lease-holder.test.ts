import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usualProofMs } from './lease-holder.ts';

test('a device is compared with itself once it was seen often enough, and one slow answer does not move what is usual', () => {
  assert.equal(usualProofMs([100, 100, 100, 100], 250), undefined);
  assert.deepEqual(usualProofMs([100, 110, 90, 5_000, 105], 250), { median: 105, limit: 355 });
});

test('a slow TPM has more slack, in proportion', () => {
  assert.deepEqual(usualProofMs([2_000, 2_000, 2_000, 2_000, 2_000], 250), { median: 2_000, limit: 3_000 });
});
