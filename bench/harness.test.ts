import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Harness, number, percentile, spread } from './harness.ts';

test('a spread is the median, the least and the most of values in any order', () => {
  assert.deepEqual(spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
  assert.deepEqual(spread([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 });
});

test('a percentile is taken by nearest rank', () => {
  const values = Array.from({ length: 100 }, (_, index) => 100 - index);
  assert.equal(percentile(values, 0.99), 99);
  assert.equal(percentile(values, 1), 100);
  assert.equal(percentile([7], 0.5), 7);
});

test('numbers are shown with three digits and never with an exponent', () => {
  assert.equal(number(1234567), '1,234,567');
  assert.equal(number(0.012345), '0.0123');
});

test('ratios are against the first peer, the unmeasured round is left out and a missing peer is named', async () => {
  const harness = new Harness(true, '/nonexistent', () => undefined);
  let runs = 0;
  const comparison = await harness.compare({
    title: 'two peers',
    rounds: 2,
    work: { amount: 10, unit: 'op' },
    peers: [
      { name: 'base', run: async () => ((runs += 1), { wallMs: 100 }) },
      { name: 'twice as fast', run: async () => ({ wallMs: 50, peakRssBytes: 1024 }) },
      { name: 'absent', missing: 'not installed', run: async () => assert.fail('a missing peer must not run') },
    ],
  });
  const [base, fast, absent] = comparison.peers;
  assert.equal(runs, 3);
  assert.equal(base?.ratio?.median, 1);
  assert.equal(fast?.ratio?.median, 2);
  assert.equal(fast?.rate?.median, 200);
  assert.equal(fast?.peakRssBytes?.median, 1024);
  assert.equal(absent?.missing, 'not installed');
  assert.equal(harness.findings().comparisons.length, 1);
});

test('a child is measured, and one that fails is an error', async () => {
  const scratch = await mkdtemp(join(tmpdir(), 'edgekeep-bench-test-'));
  try {
    const harness = new Harness(true, scratch, () => undefined);
    const measured = await harness.child('/bin/sh', ['-c', 'cat'], { stdin: '/dev/null' });
    assert.ok(measured.wallMs > 0);
    await assert.rejects(harness.child('/bin/sh', ['-c', 'echo wrong >&2; exit 3']), /ended with 3: wrong/);
  } finally {
    await rm(scratch, { recursive: true });
  }
});
