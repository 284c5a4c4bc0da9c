import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { batchStatistics, unusualStatistics, type ImageBatch, type ImageStatistics } from './statistics.ts';

const vectorsUrl = new URL('../../../spec/vectors/guard/statistics.json', import.meta.url);
const vectors = z
  .array(
    z.strictObject({
      comment: z.string(),
      shape: z.tuple([z.int(), z.int(), z.int()]),
      valueRange: z.strictObject({ leastMillionths: z.int(), mostMillionths: z.int() }),
      values: z.array(z.number()),
      statistics: z.strictObject({ brightness: z.number(), contrast: z.number(), noise: z.number() }),
    }),
  )
  .parse(JSON.parse(readFileSync(vectorsUrl, 'utf8')));

const unit = { leastMillionths: 0, mostMillionths: 1_000_000 };
const tolerance = 1e-6;

function assertClose(
  actual: ImageStatistics | undefined,
  expected: { brightness: number; contrast: number; noise: number },
) {
  assert(actual !== undefined);
  for (const name of ['brightness', 'contrast', 'noise'] as const) {
    assert(
      Math.abs(actual[name] - expected[name]) <= tolerance,
      `${name}: ${actual[name]}, NumPy says ${expected[name]}`,
    );
  }
}

for (const { comment, shape, valueRange, values, statistics } of vectors) {
  const [channels, height, width] = shape;
  const chw: ImageBatch = { data: Float32Array.from(values), layout: 'NCHW', count: 1, channels, height, width };

  test(`the statistics agree with NumPy: ${comment}`, () => {
    assertClose(batchStatistics(chw, valueRange)[0], statistics);
  });

  test(`channels last gives the same statistics: ${comment}`, () => {
    const data = chw.data.map((_, at) => values[(at % channels) * height * width + Math.floor(at / channels)] ?? 0);
    assertClose(batchStatistics({ ...chw, data, layout: 'NHWC' }, valueRange)[0], statistics);
  });
}

test('each image of a batch has statistics of its own', () => {
  const data = Float32Array.from({ length: 3 * 16 }, (_, at) => Math.floor(at / 16) / 4);
  const batch: ImageBatch = { data, layout: 'NCHW', count: 3, channels: 1, height: 4, width: 4 };
  assert.deepEqual(
    batchStatistics(batch, unit).map((statistics) => statistics.brightness),
    [0, 0.25, 0.5],
  );
});

test('noise is blind to brightness and to ramps', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 0.5, noNaN: true }), { minLength: 30, maxLength: 30 }),
      fc.double({ min: 0, max: 0.25, noNaN: true }),
      fc.double({ min: 0, max: 0.04, noNaN: true }),
      (values, offset, slope) => {
        const shape = { layout: 'NCHW', count: 1, channels: 1, height: 5, width: 6 } as const;
        const lifted = values.map((value, at) => value + offset + slope * (at % 6));
        const [before] = batchStatistics({ ...shape, data: Float32Array.from(values) }, unit);
        const [after] = batchStatistics({ ...shape, data: Float32Array.from(lifted) }, unit);
        assert(Math.abs((before?.noise ?? 0) - (after?.noise ?? 1)) < tolerance);
      },
    ),
  );
});

const ranges = {
  brightness: { leastMillionths: 300_000, mostMillionths: 600_000 },
  contrast: { leastMillionths: 100_000, mostMillionths: 200_000 },
  noise: { leastMillionths: 10_000, mostMillionths: 20_000 },
};
const clean: ImageStatistics = { brightness: 0.4, contrast: 0.15, noise: 0.015, min: 0, max: 1 };

test('an image within every range has nothing unusual, the ends included', () => {
  assert.deepEqual(unusualStatistics(clean, ranges), []);
  assert.deepEqual(unusualStatistics({ ...clean, brightness: 0.3, contrast: 0.2, noise: 0.01 }, ranges), []);
});

test('every statistic outside its range is named with its side', () => {
  assert.deepEqual(unusualStatistics({ ...clean, brightness: 0.299, noise: 0.0201 }, ranges), [
    'brightness-low',
    'noise-high',
  ]);
  assert.deepEqual(unusualStatistics({ ...clean, brightness: 0.601, contrast: 0.09 }, ranges), [
    'brightness-high',
    'contrast-low',
  ]);
  assert.deepEqual(unusualStatistics({ ...clean, contrast: 0.21, noise: 0.009 }, ranges), [
    'contrast-high',
    'noise-low',
  ]);
});

test('a single value far beyond the value range is unusual although the mean is not', () => {
  assert.deepEqual(unusualStatistics({ ...clean, max: 1.01 }, ranges), ['values-out-of-range']);
  assert.deepEqual(unusualStatistics({ ...clean, min: -0.01 }, ranges), ['values-out-of-range']);
  assert.deepEqual(unusualStatistics({ ...clean, max: 1.0001 }, ranges), []);
});
