// The hub's time, from its answers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HubTime } from './hub-time.ts';

const nineMs = Date.UTC(2026, 10, 30, 9);
function timeOf({ wallMs }: { wallMs: number }) {
  const now = { wallMs, elapsedMs: 77 };
  const time = new HubTime({ clock: () => now.wallMs, elapsed: () => now.elapsedMs });
  return { now, time };
}

test('before the first answer the time is the device’s own and the skew is not known', () => {
  const { time } = timeOf({ wallMs: nineMs });
  assert.deepEqual([time.nowMs(), time.skewMs], [nineMs, undefined]);
});

test('a clock that is ten days ahead is measured within a second, and the hub’s time goes on by elapsed time', () => {
  const { now, time } = timeOf({ wallMs: nineMs + 10 * 86_400_000 });
  time.note('Mon, 30 Nov 2026 09:00:00 GMT');
  assert.ok(Math.abs((time.skewMs ?? 0) - 10 * 86_400_000) <= 1_000);
  now.elapsedMs += 60_000;
  now.wallMs += 1e9;
  assert.equal(time.nowMs(), nineMs + 500 + 60_000);
});

test('a Date that is missing or in an unknown form changes nothing', () => {
  const { time } = timeOf({ wallMs: nineMs });
  for (const date of [undefined, '', 'yesterday', '2026-11-30', 'Mon, 99 Nov 2026 99:00:00 GMT']) time.note(date);
  assert.equal(time.skewMs, undefined);
});
