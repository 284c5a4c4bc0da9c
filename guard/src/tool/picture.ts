// Pictures and arrays of a publisher as tensors: PNG by pixels, and NumPy's .npy as it is. Nothing is resized or cropped: only the
// application knows how it does that.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename } from 'node:path';
import type { GuardSettings } from '@edgekeep/core/model/guard-settings';
import type { PixelValues } from '@edgekeep/core/model/guard-tool';
import { messageOf } from '@edgekeep/core/message-of';
import { GuardError } from '../error.ts';
import { ELEMENTS_MAX } from '../limits.ts';
import { allFinite, type TensorInterface, type TensorValue } from '../tensors/tensor.ts';
import { parseNumpy } from './numpy.ts';

interface Picture {
  readonly width: number;
  readonly height: number;
  /** Red, green, blue and opacity of each pixel. */
  readonly data: Buffer;
}

// pngjs brings no types; this is the part used here.
const { PNG }: { PNG: { sync: { read(png: Uint8Array): Picture } } } = createRequire(import.meta.url)('pngjs');

/** To the end of width and height. */
const headBytes = 24;

export interface ImageInput {
  readonly tensor: TensorInterface;
  readonly layout: GuardSettings['input']['layout'];
  readonly values: PixelValues;
}

/** One image as a batch of one. @throws GuardError `request-invalid` */
export function readImage(file: string, input: ImageInput): TensorValue {
  const bytes = readFileSync(file);
  const name = basename(file);
  const image = file.toLowerCase().endsWith('.npy') ? fromArray(name, bytes, input) : fromPng(name, bytes, input);
  if (!allFinite(image)) throw invalid(`${name}: a value is not finite`);
  return image;
}

function fromPng(name: string, bytes: Buffer, { tensor, layout, values }: ImageInput): TensorValue {
  const [, first = -1, second = -1, third = -1] = tensor.shape;
  const [channels, high, wide] = layout === 'NCHW' ? [first, second, third] : [third, first, second];
  const { width, height } = declaredSize(name, bytes);
  if ((high !== -1 && high !== height) || (wide !== -1 && wide !== width))
    throw invalid(
      `${name}: ${width} x ${height} pixels, the model takes ${wide} x ${high}: resize it as your application does`,
    );
  const count = channels === -1 ? 3 : channels;
  if (![1, 3, 4].includes(count)) throw invalid(`${name}: a picture has 1, 3 or 4 channels, the model takes ${count}`);
  const { data } = unpacked(name, bytes);
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

/** By the file's head (PNG section 11.2.1): a picture of a few bytes can unpack to gigabytes. */
function declaredSize(name: string, bytes: Buffer): { readonly width: number; readonly height: number } {
  if (bytes.length < headBytes || bytes.toString('latin1', 12, 16) !== 'IHDR')
    throw invalid(`${name}: not a PNG picture; .png and .npy files are read`);
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)];
  if (width * height > ELEMENTS_MAX) throw invalid(`${name}: ${width} x ${height} pixels, at most ${ELEMENTS_MAX}`);
  return { width, height };
}

function unpacked(name: string, bytes: Buffer): Picture {
  try {
    return PNG.sync.read(bytes);
  } catch (cause) {
    throw invalid(`${name}: not a PNG picture (${messageOf(cause)}); .png and .npy files are read`, cause);
  }
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
