import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Budgets } from './budget.ts';

test('a burst passes, what is beyond it does not, and time earns requests back', () => {
  const budgets = new Budgets({ perSecond: 2, burstSeconds: 5 });
  const passed = Array.from({ length: 15 }, () => budgets.spend('device:a', 1_000)).filter(Boolean);
  assert.equal(passed.length, 10);
  assert.equal(budgets.spend('device:a', 1_400), false);
  assert.equal(budgets.spend('device:a', 1_900), true);
  assert.equal(budgets.spend('device:a', 1_900), false);
});

// SECURITY.md: HUB-46
test('one key that used up its budget takes nothing from another', () => {
  const budgets = new Budgets({ perSecond: 1, burstSeconds: 1 });
  assert.equal(budgets.spend('device:a', 0), true);
  assert.equal(budgets.spend('device:a', 0), false);
  assert.equal(budgets.spend('device:b', 0), true);
});

test('with more keys than are kept, the one that is in use keeps its debt, and the one that was idle longest starts over', () => {
  const budgets = new Budgets({ perSecond: 1, burstSeconds: 1 });
  for (const key of ['idle', 'busy']) assert.equal(budgets.spend(key, 0), true);
  for (let other = 0; other < 200_000; other += 1) {
    budgets.spend(`other:${other}`, 0);
    if (other % 100_000 === 0) assert.equal(budgets.spend('busy', 0), false);
  }
  assert.equal(budgets.spend('busy', 0), false);
  assert.equal(budgets.spend('idle', 0), true);
});

test('a clock that goes back earns nothing', () => {
  const budgets = new Budgets({ perSecond: 1, burstSeconds: 1 });
  assert.equal(budgets.spend('device:a', 10_000), true);
  assert.equal(budgets.spend('device:a', 0), false);
});

test('what was used already is charged as debt, a full bucket of it at most, and the wait is named', () => {
  const budgets = new Budgets({ perSecond: 100, burstSeconds: 10 });
  assert.equal(budgets.secondsUntil('a', 0), 0);
  budgets.charge('a', 0, 1_500);
  assert.equal(budgets.spend('a', 0), false);
  assert.equal(budgets.secondsUntil('a', 0, 100), 6);
  budgets.charge('a', 0, 1_000_000);
  assert.equal(budgets.secondsUntil('a', 0, 0), 10);
  assert.equal(budgets.secondsUntil('a', 10_000, 0), 0);
  assert.equal(budgets.secondsUntil('b', 0), 0);
});
