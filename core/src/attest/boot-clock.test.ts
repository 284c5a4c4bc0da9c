import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClockInfo } from '../tpm/attest.ts';
import { clockProgress, type LastQuote, setBackReason, type TimedQuote, wentBackOverReset } from './boot-clock.ts';

const atMs = 1_800_000_000_000;
const saveInterval = 2n ** 22n;
const last = { resetCount: 12, restartCount: 3, clock: 86_400_000n, receivedMs: atMs };
const found = (changes: Partial<ClockInfo> = {}): ClockInfo => ({ ...last, safe: true, ...changes });
const codeOf = (quote: ClockInfo, known: LastQuote = last, askedMs = atMs + 1) =>
  setBackReason(quote, known, askedMs)?.code;

test('counters and a clock that advance or stay are accepted', () => {
  for (const changes of [{}, { clock: 86_400_001n }, { restartCount: 4 }, { resetCount: 13, restartCount: 0 }]) {
    assert.equal(
      codeOf(found(changes)),
      undefined,
      JSON.stringify(changes, (_, value) => `${value}`),
    );
  }
});

test('a lower reset count, or a lower restart count in one reset, is an earlier boot, also with a later clock', () => {
  const later = { clock: last.clock * 2n };
  assert.equal(codeOf(found({ resetCount: 11, restartCount: 9, ...later })), 'reset-count-decreased');
  assert.equal(codeOf(found({ restartCount: 2, ...later })), 'reset-count-decreased');
  assert.equal(codeOf(found({ resetCount: 0, restartCount: 0, clock: 5n })), 'reset-count-decreased');
});

test('a clock never goes back in one reset; over a reset it is said, and not refused, unless a loss of power explains it', () => {
  const reset = { resetCount: 13, restartCount: 0 };
  const by = (milliseconds: bigint) => ({ clock: last.clock - milliseconds });
  for (const [changes, isSaid] of [
    [{ safe: false, ...by(saveInterval) }, false],
    [{ safe: false, ...by(saveInterval + 1n) }, true],
    [by(1n), true],
    [by(0n), false],
  ] as const) {
    assert.equal(codeOf(found({ ...reset, ...changes })), undefined);
    assert.equal(wentBackOverReset(found({ ...reset, ...changes }), last), isSaid);
  }
  assert.equal(codeOf(found({ safe: false, ...by(1n) })), 'clock-decreased');
  assert.equal(codeOf(found({ restartCount: 4, safe: false, ...by(1n) })), 'clock-decreased');
});

test('two quotes may overtake each other: as far as the time between the question of one and the arrival of the other', () => {
  const back = (milliseconds: bigint, askedMs: number) =>
    codeOf(found({ clock: last.clock - milliseconds }), last, askedMs);
  assert.equal(back(200n, atMs - 300), undefined);
  assert.equal(back(1n, atMs), 'clock-decreased');
  assert.equal(back(11_500n + 1_000n, atMs - 10_000), undefined);
  assert.equal(back(11_501n + 1_000n, atMs - 10_000), 'clock-decreased');
  // A boot never overtakes a later one.
  assert.equal(codeOf(found({ resetCount: 11 }), last, atMs - 10_000), 'reset-count-decreased');
});

test('where only the reset count is known, only it is compared', () => {
  const known = { resetCount: 12, restartCount: 0 };
  assert.equal(codeOf(found({ restartCount: 0, clock: 0n }), known), undefined);
  assert.equal(codeOf(found({ resetCount: 11 }), known), 'reset-count-decreased');
});

const bounds = { driftPercent: 15, slackSeconds: 60 };
const anchor: TimedQuote = { ...last, askedMs: atMs - 500 };
const afterHours = (hours: number, clockHours: number, changes: Partial<TimedQuote> = {}): TimedQuote => ({
  ...anchor,
  askedMs: anchor.askedMs + hours * 3_600_000,
  receivedMs: anchor.receivedMs + hours * 3_600_000,
  clock: anchor.clock + BigInt(clockHours * 3_600_000),
  ...changes,
});

test('a clock within its tolerance fits; one outside is fast or slow', () => {
  for (const [hours, clockHours, progress] of [
    [1, 1, 'fits'],
    [10, 11.4, 'fits'],
    [10, 8.6, 'fits'],
    [10, 11.6, 'fast'],
    [10, 8.4, 'slow'],
    [0, 0.02, 'fast'],
    [0, 0, 'fits'],
  ] as const) {
    assert.equal(
      clockProgress(afterHours(hours, clockHours), anchor, bounds),
      progress,
      `${clockHours} h in ${hours} h`,
    );
  }
});

test('between two boots a TPM may have been without power, so its clock is never slow; it may be fast', () => {
  for (const boot of [{ resetCount: 13, restartCount: 0 }, { restartCount: 4 }]) {
    assert.equal(clockProgress(afterHours(10, 0, boot), anchor, bounds), 'fits');
    assert.equal(clockProgress(afterHours(10, -1, boot), anchor, bounds), 'fits');
    assert.equal(clockProgress(afterHours(10, 12, boot), anchor, bounds), 'fast');
  }
});
