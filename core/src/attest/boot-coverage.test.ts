import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uncoveredBoot } from './boot-coverage.ts';
import type { ReferenceEvent } from './reference-values.ts';

const event = (pcr: number, optional?: true): ReferenceEvent => {
  return { pcr, name: 'x', eventType: 4, digests: ['1'.repeat(64)], optional };
};
const open = (...events: readonly ReferenceEvent[]) => uncoveredBoot({ events }).length;
const firmware = [0, 2, 4, 7].map((pcr) => event(pcr));

test('the kernel is covered by both PCRs of GRUB, or by that of a unified image', () => {
  assert.equal(open(...firmware, event(8), event(9)), 0);
  assert.equal(open(...firmware, event(11)), 0);
  assert.equal(open(...firmware, event(8)), 1);
  assert.equal(open(...firmware, event(9)), 1);
});

test('an event that may be absent covers nothing', () => {
  assert.equal(open(...firmware, event(11, true)), 1);
  assert.equal(open(...firmware.slice(1), event(0, true), event(11)), 1);
});
