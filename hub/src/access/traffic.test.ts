import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Traffic } from './traffic.ts';

const minute = 60_000;

function busy(traffic: Traffic, fromMinute: number, minutes: number, each: number): void {
  for (let at = fromMinute; at < fromMinute + minutes; at += 1) {
    for (let request = 0; request < each; request += 1)
      traffic.note('press-1', at * minute + request * (minute / each));
  }
}

test('a device that never asked has no traffic and no usual', () => {
  assert.deepEqual(new Traffic().of('press-1', 0), { lastMinute: 0, percentOfUsual: 100 });
});

test('a burst shows against what is usual, and only when the usual is known', () => {
  const traffic = new Traffic();
  busy(traffic, 0, 5, 10);
  assert.equal(traffic.of('press-1', 5 * minute).percentOfUsual, 100);
  busy(traffic, 5, 15, 10);
  assert.deepEqual(traffic.of('press-1', 20 * minute), { lastMinute: 10, percentOfUsual: 100 });
  busy(traffic, 20, 1, 50);
  assert.deepEqual(traffic.of('press-1', 21 * minute - 1).lastMinute, 50);
  assert.ok(traffic.of('press-1', 21 * minute - 1).percentOfUsual > 400);
});

test('the last minute slides: what is older than sixty seconds does not count', () => {
  const traffic = new Traffic();
  busy(traffic, 0, 1, 60);
  assert.equal(traffic.of('press-1', minute).lastMinute, 60);
  assert.equal(traffic.of('press-1', 1.5 * minute).lastMinute, 30);
  assert.equal(traffic.of('press-1', 2 * minute).lastMinute, 0);
});

test('years of silence and a clock set back are no trouble', () => {
  const traffic = new Traffic();
  busy(traffic, 0, 20, 10);
  assert.equal(traffic.of('press-1', 1_000_000_000 * minute).lastMinute, 0);
  traffic.note('press-1', 0);
  assert.ok(traffic.of('press-1', 0).lastMinute >= 1);
});

test('a clock that is set back a day does not gather a day of requests in one minute', () => {
  const traffic = new Traffic();
  const dayMs = 86_400_000;
  traffic.note('press-7', dayMs);
  for (let second = 0; second < 300; second += 1) traffic.note('press-7', second * 1_000);
  assert.ok(traffic.of('press-7', 300_000).lastMinute <= 121);
});
