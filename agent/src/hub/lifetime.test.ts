// When a life ends and when it is renewed, by two clocks of which one can be set.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { array, assert as check, integer, property } from 'fast-check';
import { Lifetime } from './lifetime.ts';

const hourMs = 3_600_000;
const share = 2 / 3;
const begun = { wallMs: 1_700_000_000_000, elapsedMs: 5_000 };
const after = (wallMs: number, elapsedMs: number) => ({
  wallMs: begun.wallMs + wallMs,
  elapsedMs: begun.elapsedMs + elapsedMs,
});

test('with clocks that agree, a renewal is due after its share and the life is over at its end', () => {
  const life = new Lifetime(begun, hourMs);
  assert.equal(life.untilRenewalMs(begun, share), hourMs * share);
  assert.equal(life.leftMs(after(hourMs, hourMs)), 0);
});

test('a wall clock that is set back prolongs nothing', () => {
  const life = new Lifetime(begun, hourMs);
  assert.equal(life.leftMs(after(-86_400_000, hourMs)), 0);
  assert.ok(life.untilRenewalMs(after(-86_400_000, hourMs * share), share) <= 0);
});

test('a machine that slept through the life finds it over', () => {
  assert.ok(new Lifetime(begun, hourMs).leftMs(after(2 * hourMs, 1_000)) < 0);
});

test('a clock that jumps ahead calls for one early renewal, and the next one waits its share of the new life', () => {
  const jumped = after(45 * 60_000, 10_000);
  const waits = new Lifetime(begun, hourMs).untilRenewalMs(jumped, share);
  assert.equal(waits, hourMs / 16 - 10_000);
  assert.equal(new Lifetime(jumped, hourMs).untilRenewalMs(jumped, share), hourMs * share);
});

// SECURITY.md: DEV-35
test('however the wall clock is set, renewals are at least a sixteenth of a life apart by elapsed time', () => {
  const jump = integer({ min: -1e12, max: 1e12 });
  check(
    property(array(jump, { minLength: 1, maxLength: 200 }), (jumps) => {
      let now = begun;
      let life = new Lifetime(now, hourMs);
      let renewals = 0;
      for (const ms of jumps) {
        now = { wallMs: now.wallMs + ms, elapsedMs: now.elapsedMs + 1_000 };
        if (life.untilRenewalMs(now, share) > 0) continue;
        renewals += 1;
        life = new Lifetime(now, hourMs);
      }
      assert.ok(renewals <= (jumps.length * 1_000) / (hourMs / 16));
    }),
  );
});
