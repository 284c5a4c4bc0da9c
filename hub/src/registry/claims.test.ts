import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimsIn } from './claims.ts';

test('a claim of devices is found at every place of a filter, and nothing else is', () => {
  for (const [filter, claims] of [
    ['tier==tpm;site==graz,tags.line==press', []],
    ['desired.mode==fast;enrollmentGroup==lot-18', []],
    ['tier==tpm;(site==graz,reported.zone==red)', ['reported.zone']],
    ['reported.a=ex=true,reported.a==x', ['reported.a']],
    ['seenAt>-1h', ['seenAt']],
    ['holds==surface;fault=ex=false', ['holds', 'fault']],
  ] as const) {
    assert.deepEqual(claimsIn(filter, 0), claims, filter);
  }
});
