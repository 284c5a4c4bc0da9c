import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onlyFromHere } from './only-from-here.ts';

test('an invitation whose address only this machine reaches says so', () => {
  for (const here of [
    'https://127.0.0.1:8444',
    'https://127.8.8.8:8444',
    'https://[::1]:8444',
    'https://localhost:8444',
  ])
    assert.match(onlyFromHere(here), /is this machine alone/, here);
  for (const there of ['https://10.0.0.7:8444', 'https://[2001:db8::7]:8444', 'https://hub.example:8444'])
    assert.equal(onlyFromHere(there), '', there);
});
