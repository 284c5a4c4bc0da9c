import assert from 'node:assert/strict';
import { test } from 'node:test';
import { counted } from './counted.ts';

test('one of a thing has the singular, any other number the plural', () => {
  assert.deepEqual(
    [0, 1, 2].map((count) => counted(count, 'device')),
    ['0 devices', '1 device', '2 devices'],
  );
  assert.equal(counted(1, 'entry', 'entries'), '1 entry');
  assert.equal(counted(8, 'entry', 'entries'), '8 entries');
});
