import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRetryAfter, retryDelayMs } from './retry.ts';

const hour = 3_600_000;

test('ten attempts are made over three days, each wait not shorter than the schedule and a tenth longer at most', () => {
  for (const random of [0, 0.999]) {
    const waits: number[] = [];
    for (let attempts = 1; ; attempts += 1) {
      const wait = retryDelayMs(attempts, { random });
      if (wait === undefined) break;
      waits.push(wait);
    }
    assert.equal(waits.length, 9);
    const sum = waits.reduce((all, wait) => all + wait, 0);
    assert.ok(sum >= 75.5 * hour && sum <= 84 * hour, String(sum));
    assert.ok((waits[0] ?? 0) >= 5_000 && (waits[0] ?? 0) <= 5_500);
  }
});

test('a receiver may ask for a later attempt, for a day at most', () => {
  assert.equal(retryDelayMs(1, { random: 0, retryAfterMs: 60_000 }), 60_000);
  assert.equal(retryDelayMs(1, { random: 0, retryAfterMs: 1 }), 5_000);
  assert.equal(retryDelayMs(1, { random: 0, retryAfterMs: 1_000 * hour }), 24 * hour);
});

test('Retry-After is seconds or a date; anything else asks for nothing', () => {
  const nowMs = Date.parse('2026-11-30T10:00:00Z');
  assert.equal(parseRetryAfter('120', nowMs), 120_000);
  assert.equal(parseRetryAfter('Mon, 30 Nov 2026 10:01:00 GMT', nowMs), 60_000);
  assert.equal(parseRetryAfter('Mon, 30 Nov 2026 09:01:00 GMT', nowMs), 0);
  for (const text of [undefined, '', '-1', '1.5', '1e3', 'soon', '99999999999', '2026-11-30'])
    assert.equal(parseRetryAfter(text, nowMs), undefined, text);
});
