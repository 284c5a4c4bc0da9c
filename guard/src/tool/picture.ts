// Pictures and arrays of a publisher as tensors: PNG by pixels, and NumPy's .npy as it is. Nothing is resized or cropped: only the
// application knows how it does that.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import type { PixelValues } from '@edgekeep/core/model/guard-tool';
import { messageOf } from '@edgekeep/core/message-of';
import { GuardError } from '../error.ts';
import type { TensorInterface, TensorValue } from '../tensor.ts';
import { parseNumpy } from './numpy.ts';

interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue and opacity of each pixel. */
  readonly data: Buffer;
}

// pngjs brings no types; this is the part used here.
const { PNG }: { PNG: { sync: { read(png: Uint8Array): Picture } } } = createRequire(import.meta.url)('pngjs');

export interface ImageInput {
  readonly tensor: TensorInterface;
  readonly layout: GuardSettings['input']['layout'];
  readonly values: PixelValues;
}

/** One image as a batch of one. @throws GuardError `request-invalid` */
export function readImage(file: string, input: ImageInput): TensorValue {
  const bytes = readFileSync(file);
  return file.toLowerCase().endsWith('.npy')
    ? fromArray(basename(file), bytes, input)
    : fromPng(basename(file), bytes, input);
}

function fromPng(name: string, bytes: Buffer, { tensor, layout, values }: ImageInput): TensorValue {
  let png: Picture;
  try {
    png = PNG.sync.read(bytes);
  } catch (cause) {
    throw invalid(`${name}: not a PNG picture (${messageOf(cause)}); .png and .npy files are read`, cause);
  }
  const { width, height, data } = png;
  const [, first = -1, second = -1, third = -1] = tensor.shape;
  const [channels, high, wide] = layout === 'NCHW' ? [first, second, third] : [third, first, second];
  if ((high !== -1 && high !== height) || (wide !== -1 && wide !== width))
    throw invalid(
      `${name}: ${width} x ${height} pixels, the model takes ${wide} x ${high}: resize it as your application does`,
    );
  const count = channels === -1 ? 3 : channels;
  if (![1, 3, 4].includes(count)) throw invalid(`${name}: a picture has 1, 3 or 4 channels, the model takes ${count}`);
  const pixels = width * height;
  const out = tensor.datatype === 'UINT8' ? new Uint8Array(pixels * count) : new Float32Array(pixels * count);
  const scale = scaleOf(values, count);
  for (let pixel = 0; pixel < pixels; pixel += 1) {
    if (count === 1 && !isGrey(data, pixel)) throw invalid(`${name}: a color picture, the model takes one channel`);
    for (let channel = 0; channel < count; channel += 1) {
      const at = layout === 'NCHW' ? channel * pixels + pixel : pixel * count + channel;
      const value = data[pixel * 4 + channel] ?? 0;
      out[at] = tensor.datatype === 'UINT8' ? value : scale(value, channel);
    }
  }
  const shape = layout === 'NCHW' ? [1, count, height, width] : [1, height, width, count];
  return { name: tensor.name, datatype: tensor.datatype, shape, data: out };
}

function fromArray(name: string, bytes: Buffer, { tensor }: ImageInput): TensorValue {
  const array = parseNumpy(name, bytes);
  // An image without its batch becomes a batch of one.
  const shape = array.shape.length === tensor.shape.length - 1 ? [1, ...array.shape] : array.shape;
  const fits =
    shape.length === tensor.shape.length &&
    shape.every((size, at) => tensor.shape[at] === -1 || size === tensor.shape[at]);
  if (!fits || array.datatype !== tensor.datatype) {
    const wanted = `${tensor.datatype} [${tensor.shape.join(',')}]`;
    throw invalid(`${name}: ${array.datatype} [${array.shape.join(',')}], the model takes ${wanted}`);
  }
  return { name: tensor.name, datatype: array.datatype, shape, data: array.data };
}

function scaleOf(values: PixelValues, channels: number): (value: number, channel: number) => number {
  if ('black' in values) return (value) => values.black + (value / 255) * (values.white - values.black);
  const { mean, deviation } = values;
  if (mean.length !== channels || deviation.length !== channels)
    throw invalid(`${mean.length} means and ${deviation.length} deviations for ${channels} channels`);
  return (value, channel) => (value / 255 - (mean[channel] ?? 0)) / (deviation[channel] ?? 1);
}

function isGrey(data: Buffer, pixel: number): boolean {
  return data[pixel * 4] === data[pixel * 4 + 1] && data[pixel * 4] === data[pixel * 4 + 2];
}

function invalid(message: string, cause?: unknown): GuardError {
  return new GuardError('request-invalid', message, { cause });
}
