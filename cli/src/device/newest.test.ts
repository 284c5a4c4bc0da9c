import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newest } from './newest.ts';

const leases = Array.from({ length: 45 }, (_, at) => `lease ${at}`);
const rowOf = (lease: string) => ['lease', lease];

test('of 45 leases the newest 10 are shown, and how many more there are; with room for all, all of them', () => {
  const rows = newest(leases, 10, rowOf);
  assert.deepEqual(rows.slice(0, 10), leases.slice(0, 10).map(rowOf));
  assert.deepEqual(rows.slice(10), [['', '35 more: --all shows them']]);
  assert.deepEqual(newest(leases, Number.POSITIVE_INFINITY, rowOf), leases.map(rowOf));
  assert.deepEqual(newest(leases.slice(0, 10), 10, rowOf).length, 10);
  assert.deepEqual(newest([], 10, rowOf), []);
});
