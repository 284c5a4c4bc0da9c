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

/** On values scaled so that the settings' value range becomes 0..1; `min` and `max` are the extremes of single values. */
export interface ImageStatistics {
  readonly brightness: number;
  readonly contrast: number;
  readonly noise: number;
  readonly min: number;
  readonly max: number;
}

/**
 * How far beyond the value range a value may be, as a part of the range's width: this is rounding, not a different value (spec/guard.md
 * section 4).
 */
const valueTolerance = 1e-3;
// Ranges are whole millionths; a sum in another order must not fall out of the range at its edge.
const edgeTolerance = 1e-9;

export function batchStatistics(
  batch: ImageBatch,
  valueRange: GuardSettings['input']['valueRange'],
): readonly ImageStatistics[] {
  const min = valueRange.leastMillionths / 1e6;
  const scale = 1 / (valueRange.mostMillionths / 1e6 - min);
  const images: ImageStatistics[] = [];
  for (let index = 0; index < batch.count; index += 1) images.push(imageStatistics(batch, index, min, scale));
  return images;
}

/** The statistics outside the range of clean images. */
export function unusualStatistics(
  statistics: ImageStatistics,
  ranges: GuardSettings['statistics'],
): StatisticsReason[] {
  const reasons: StatisticsReason[] = [];
  for (const name of ['brightness', 'contrast', 'noise'] as const) {
    if (statistics[name] < ranges[name].leastMillionths / 1e6 - edgeTolerance) reasons.push(`${name}-low`);
    if (statistics[name] > ranges[name].mostMillionths / 1e6 + edgeTolerance) reasons.push(`${name}-high`);
  }
  if (statistics.min < -valueTolerance || statistics.max > 1 + valueTolerance) reasons.push('values-out-of-range');
  return reasons;
}

// Row by row, loops by index: this runs before every answer, and on small images the model itself takes a tenth of a millisecond. (for...of over a
// typed array takes ten times as long.) Grey values are kept as sums over the channels; dividing by their number and scaling to 0..1 are
// linear, so they are done at the end.
function imageStatistics(batch: ImageBatch, index: number, min: number, scale: number): ImageStatistics {
  const { data, channels, height, width } = batch;
  const start = index * channels * height * width;
  const totals: Totals = { shift: 0, sum: 0, squares: 0, response: 0, min: Infinity, max: -Infinity };
  addExtremes(data, start, start + channels * height * width, totals);
  // Second differences along this row and the two before it.
  let below = new Float64Array(width);
  let middle = new Float64Array(width);
  let above = new Float64Array(width);
  const sums = new Float64Array(channels > 1 ? width : 0);
  const grey = channels > 1 ? sums : data;
  for (let y = 0; y < height; y += 1) {
    if (channels > 1) sumChannels(batch, start, y, sums);
    const from = channels > 1 ? 0 : start + y * width;
    if (y === 0) totals.shift = grey[from] ?? 0;
    const response = addRow(grey, from, totals, above, middle, below);
    if (y >= 2) totals.response += response;
    [above, middle, below] = [middle, below, above];
  }
  const pixels = height * width;
  const mean = totals.sum / pixels;
  const deviation = Math.sqrt(Math.max(0, totals.squares / pixels - mean * mean));
  return {
    brightness: ((totals.shift + mean) / channels - min) * scale,
    contrast: (deviation / channels) * scale,
    noise: (Math.sqrt(Math.PI / 2) * (totals.response / channels) * scale) / (6 * (width - 2) * (height - 2)),
    min: (totals.min - min) * scale,
    max: (totals.max - min) * scale,
  };
}

/** Sums of grey values minus `shift`, which is one of them: squares of large numbers would lose a small deviation. */
interface Totals {
  shift: number;
  sum: number;
  squares: number;
  response: number;
  min: number;
  max: number;
}

function addExtremes(data: ImageBatch['data'], from: number, to: number, totals: Totals): void {
  let { min, max } = totals;
  for (let at = from; at < to; at += 1) {
    const value = data[at] ?? Number.NaN;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  totals.min = min;
  totals.max = max;
}

/** Fills `sums` with one row's sums over the channels. */
function sumChannels(batch: ImageBatch, start: number, y: number, sums: Float64Array): void {
  const { data, channels, height, width } = batch;
  const [pixelStride, channelStride] = batch.layout === 'NCHW' ? [1, height * width] : [channels, 1];
  for (let channel = 0; channel < channels; channel += 1) {
    let at = start + y * width * pixelStride + channel * channelStride;
    for (let x = 0; x < width; x += 1, at += pixelStride) {
      const value = data[at] ?? Number.NaN;
      sums[x] = channel === 0 ? value : (sums[x] ?? 0) + value;
    }
  }
}

/**
 * Adds one row of grey values, which begins at `from`, and fills `below` with its second differences. Immerkaer's mask is the outer product of
 * (1, -2, 1) with itself: first along the rows, then across three of them. Returns its response, which counts where three rows are there.
 */
function addRow(
  grey: ImageBatch['data'] | Float64Array,
  from: number,
  totals: Totals,
  above: Float64Array,
  middle: Float64Array,
  below: Float64Array,
): number {
  const { shift } = totals;
  let left = grey[from] ?? 0;
  let here = grey[from + 1] ?? 0;
  let sum = left - shift + (here - shift);
  let squares = (left - shift) * (left - shift) + (here - shift) * (here - shift);
  let response = 0;
  for (let x = 1; x + 1 < below.length; x += 1) {
    const right = grey[from + x + 1] ?? 0;
    sum += right - shift;
    squares += (right - shift) * (right - shift);
    const difference = left - 2 * here + right;
    response += Math.abs((above[x] ?? 0) - 2 * (middle[x] ?? 0) + difference);
    below[x] = difference;
    left = here;
    here = right;
  }
  totals.sum += sum;
  totals.squares += squares;
  return response;
}
