// The publisher's settings of the guard for a classifier: where the image is, the statistics of clean images, how sure an answer must be.
// Part of the signed manifest, so canonical JSON: decimals are whole millionths. Follows spec/guard.md.
import { z } from 'zod';

/** Used when the settings name no threshold (0.85). */
const confidenceThresholdMillionthsDefault = 850_000;

/** Enough for any class list a person would read; keeps a manifest small. */
const LABELS_MAX = 10_000;
const LABEL_LENGTH_MAX = 256;
const TENSOR_NAME_LENGTH_MAX = 256;
// One million: covers 16-bit pixel values (65,535) and stays a safe integer.
const MAGNITUDE_MILLIONTHS_MAX = 1_000_000 * 1_000_000;

const millionths = z.int().min(-MAGNITUDE_MILLIONTHS_MAX).max(MAGNITUDE_MILLIONTHS_MAX);
const tensorName = z.string().min(1).max(TENSOR_NAME_LENGTH_MAX);

const range = z
  .strictObject({ leastMillionths: millionths, mostMillionths: millionths })
  .refine((value) => value.leastMillionths <= value.mostMillionths, 'leastMillionths is above mostMillionths');

const valueRange = z
  .strictObject({ leastMillionths: millionths, mostMillionths: millionths })
  .refine((value) => value.leastMillionths < value.mostMillionths, 'leastMillionths is not below mostMillionths');

export const guardSettingsSchema = z.strictObject({
  input: z.strictObject({
    name: tensorName,
    layout: z.enum(['NCHW', 'NHWC']),
    /** The values of black and white in the tensor as the model takes it, for example 0 and 1, or 0 and 255. */
    valueRange,
  }),
  output: z.strictObject({
    name: tensorName,
    /** `logits`: the guard applies softmax; `probabilities`: the model already did. */
    scores: z.enum(['logits', 'probabilities']),
  }),
  labels: z.array(z.string().min(1).max(LABEL_LENGTH_MAX)).min(2).max(LABELS_MAX).optional(),
  /** Both ends belong to the range. Statistics are those of spec/guard.md section 2, on values scaled to 0..1. */
  statistics: z.strictObject({ brightness: range, contrast: range, noise: range }),
  confidenceThresholdMillionths: z.int().min(1).max(1_000_000).optional(),
});

export type GuardSettings = z.infer<typeof guardSettingsSchema>;

/** The threshold as a fraction, 0 < threshold <= 1. */
export function confidenceThreshold(settings: GuardSettings): number {
  return (settings.confidenceThresholdMillionths ?? confidenceThresholdMillionthsDefault) / 1_000_000;
}
