// Brightness, contrast and noise of each image in a batch. Follows spec/guard.md section 2, whose NumPy lines give the same numbers.
import type { StatisticsReason } from '@edgekeep/core/model/guard-protocol';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';

/** A batch of images inside a flat tensor; `height` and `width` are at least 3. */
export interface ImageBatch {
  readonly data: Float32Array | Uint8Array;
  readonly layout: 'NCHW' | 'NHWC';
  readonly count: number;
  readonly channels: number;
  readonly height: number;
  readonly width: number;
}

/** On values scaled so that the settings' value range becomes 0..1; `least` and `most` are the extremes of single values. */
export interface ImageStatistics {
  readonly brightness: number;
  readonly contrast: number;
  readonly noise: number;
  readonly least: number;
  readonly most: number;
}

/** How far beyond the value range a value may lie, as a part of the range's width: rounding, not meaning (spec/guard.md section 4). */
const valueTolerance = 1e-3;
// Ranges are whole millionths; a number computed elsewhere in another order of summing must not fall out at the edge.
const edgeTolerance = 1e-9;

export function batchStatistics(
  batch: ImageBatch,
  valueRange: GuardSettings['input']['valueRange'],
): ImageStatistics[] {
  const least = valueRange.leastMillionths / 1e6;
  const scale = 1 / (valueRange.mostMillionths / 1e6 - least);
  const grey = new Float64Array(batch.height * batch.width);
  return Array.from({ length: batch.count }, (_, index) => {
    const extremes = greyImage(batch, index, least, scale, grey);
    return { ...meanAndDeviation(grey), noise: immerkaerNoise(grey, batch.height, batch.width), ...extremes };
  });
}

/** The statistics that lie outside the range of clean images. */
export function unusualStatistics(
  statistics: ImageStatistics,
  ranges: GuardSettings['statistics'],
): StatisticsReason[] {
  const reasons: StatisticsReason[] = [];
  for (const name of ['brightness', 'contrast', 'noise'] as const) {
    if (statistics[name] < ranges[name].leastMillionths / 1e6 - edgeTolerance) reasons.push(`${name}-low`);
    if (statistics[name] > ranges[name].mostMillionths / 1e6 + edgeTolerance) reasons.push(`${name}-high`);
  }
  if (statistics.least < -valueTolerance || statistics.most > 1 + valueTolerance) reasons.push('values-out-of-range');
  return reasons;
}

/** Fills `grey` with the channel means of one image, scaled to 0..1. */
function greyImage(batch: ImageBatch, index: number, least: number, scale: number, grey: Float64Array) {
  const { data, channels } = batch;
  const pixels = grey.length;
  const start = index * channels * pixels;
  const [pixelStride, channelStride] = batch.layout === 'NCHW' ? [1, pixels] : [channels, 1];
  let smallest = Infinity;
  let largest = -Infinity;
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    let sum = 0;
    let at = start + pixel * pixelStride;
    for (let channel = 0; channel < channels; channel += 1, at += channelStride) {
      const value = data[at] ?? Number.NaN;
      if (value < smallest) smallest = value;
      if (value > largest) largest = value;
      sum += value;
    }
    grey[pixel] = (sum / channels - least) * scale;
  }
  return { least: (smallest - least) * scale, most: (largest - least) * scale };
}

function meanAndDeviation(values: Float64Array): { brightness: number; contrast: number } {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return { brightness: mean, contrast: Math.sqrt(squares / values.length) };
}

/** Immerkaer 1996: the mean absolute response to a mask that ignores flat areas, ramps and straight edges, scaled to a standard deviation. */
function immerkaerNoise(grey: Float64Array, height: number, width: number): number {
  // The mask is the outer product of (1, -2, 1) with itself: second differences along rows, then along columns.
  const rows = new Float64Array(grey.length);
  for (let at = 1; at < grey.length - 1; at += 1) {
    rows[at] = (grey[at - 1] ?? 0) - 2 * (grey[at] ?? 0) + (grey[at + 1] ?? 0);
  }
  let sum = 0;
  for (let y = 1; y < height - 1; y += 1) {
    for (let at = y * width + 1; at < (y + 1) * width - 1; at += 1) {
      sum += Math.abs((rows[at - width] ?? 0) - 2 * (rows[at] ?? 0) + (rows[at + width] ?? 0));
    }
  }
  return (Math.sqrt(Math.PI / 2) * sum) / (6 * (width - 2) * (height - 2));
}
