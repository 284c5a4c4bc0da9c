// The messages between the command line and the guard's tool for publishers: one order in, one report out, each a JSON value. Both sides
// are started by one person on one machine. Follows spec/guard.md section 8.
import { z } from 'zod';
import { guardSettingsSchema } from './guard-settings.ts';

const toolFile = z.strictObject({
  /** As in the manifest. */
  path: z.string().min(1),
  role: z.enum(['primary', 'fallback', 'data']),
  mediaType: z.string().min(1),
  /** Where it is on this machine. */
  file: z.string().min(1),
});

/** How pixels of 0 to 255 become values of the model's input: by two ends, or by mean and deviation of each channel. */
const pixelValues = z.union([
  z.strictObject({ black: z.number(), white: z.number() }),
  z.strictObject({ mean: z.array(z.number()).min(1).max(4), deviation: z.array(z.number().positive()).min(1).max(4) }),
]);

const calibration = z.strictObject({
  input: z.string().optional(),
  layout: z.enum(['NCHW', 'NHWC']).optional(),
  values: pixelValues.optional(),
  output: z.string().optional(),
  scores: z.enum(['logits', 'probabilities']).optional(),
  labels: z.array(z.string()).optional(),
  /** A fraction. */
  threshold: z.number().gt(0).max(1).optional(),
  /** The share of clean images that may be outside at each end of each statistic. */
  quantile: z.number().min(0).max(0.25),
});

export const guardToolOrder = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('check'), files: z.array(toolFile), settings: guardSettingsSchema.optional() }),
  z.strictObject({
    kind: z.literal('calibrate'),
    files: z.array(toolFile),
    /** Pictures (.png) and arrays (.npy). */
    images: z.array(z.string()).min(1),
    calibration,
  }),
  z.strictObject({
    kind: z.literal('try'),
    files: z.array(toolFile),
    settings: guardSettingsSchema.optional(),
    /** A picture, an array or an inference request (.json). */
    input: z.string(),
    values: pixelValues.optional(),
  }),
]);

export type GuardToolOrder = z.infer<typeof guardToolOrder>;
export type PixelValues = z.infer<typeof pixelValues>;
export type Calibration = z.infer<typeof calibration>;

const tensor = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int()) });
const modelInterface = z.object({ inputs: z.array(tensor), outputs: z.array(tensor) });

export const guardToolReport = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('checked'),
    primary: modelInterface,
    fallback: modelInterface.optional(),
    /** What could not be tried. */
    warnings: z.array(z.string()),
  }),
  z.object({
    kind: z.literal('calibrated'),
    settings: guardSettingsSchema,
    images: z.int(),
    /** How the images would be judged with these settings. */
    verdicts: z.record(z.string(), z.int()),
    reasons: z.record(z.string(), z.int()),
  }),
  /** `answer` is the inference response as applications get it. */
  z.object({ kind: z.literal('tried'), answer: z.looseObject({}) }),
  z.object({ kind: z.literal('failed'), code: z.string(), message: z.string() }),
]);

export type GuardToolReport = z.infer<typeof guardToolReport>;
