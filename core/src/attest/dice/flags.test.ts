import assert from 'node:assert/strict';
import { test } from 'node:test';
import { flagProblems, operationalFlags } from './flags.ts';
import { parseTcbInfo } from './tcb-info.ts';
import { encodeTcbInfo } from './testing-tcb-info.ts';

test('every bit of the flags is read: those with a name by it, the others by their number', () => {
  const unnamed = [operationalFlags.length, operationalFlags.length + 1, 30];
  const flags = { named: operationalFlags, unnamed };
  const read = parseTcbInfo(encodeTcbInfo({ flags })).flags;
  assert.deepEqual(read, flags);
  assert.equal(flagProblems(flags, undefined, operationalFlags).length, unnamed.length);
});
