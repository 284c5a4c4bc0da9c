// Runs the shipped test set through both exported models, as a device would: PNG to float32 [N,1,64,64], ONNX Runtime, the
// most probable class. `node examples/surface-inspection/check.ts` prints what it finds beside what the model card says.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseJson } from '@edgekeep/core/json';
import { InferenceSession, Tensor } from '@edgekeep/guard/model/runtime';
import { z } from 'zod';

const side = 64;
const roles = ['primary', 'fallback'] as const;

const testSetSchema = z.strictObject({
  labels: z.array(z.string()),
  images: z.record(z.string(), z.string()),
});
const model = z.object({ test: z.object({ accuracy: z.number(), coverage: z.number() }) });
const resultsSchema = z.object({
  confidenceThreshold: z.number(),
  models: z.object({ primary: model, fallback: model }),
});

export interface Comparison {
  readonly role: (typeof roles)[number];
  readonly accuracy: number;
  readonly accuracyOnCard: number;
  /** Share of answers whose confidence reaches the threshold. */
  readonly coverage: number;
  readonly coverageOnCard: number;
}

/** Measures both models on the shipped test set; figures are rounded to 0.000001, as in results.json. */
export async function compareWithCard(folder: string): Promise<readonly Comparison[]> {
  const testSet = parseJson(readFileSync(join(folder, 'test-set/labels.json')), testSetSchema, 'labels.json');
  const results = parseJson(readFileSync(join(folder, 'results.json')), resultsSchema, 'results.json');
  const images = Object.entries(testSet.images).map(([name, label]) => ({
    pixels: readGreyPng(join(folder, 'test-set', name)),
    label: testSet.labels.indexOf(label),
  }));
  const comparisons: Comparison[] = [];
  for (const role of roles) {
    const rows = await probabilities(
      join(folder, `models/${role}.onnx`),
      images.map((image) => image.pixels),
    );
    const right = images.filter((image, index) => bestClass(rows[index] ?? []) === image.label);
    const sure = rows.filter((row) => Math.max(...row) >= results.confidenceThreshold);
    comparisons.push({
      role,
      accuracy: share(right.length, images.length),
      accuracyOnCard: results.models[role].test.accuracy,
      coverage: share(sure.length, images.length),
      coverageOnCard: results.models[role].test.coverage,
    });
  }
  return comparisons;
}

/** Class probabilities of each image, from one batch. */
export async function probabilities(modelFile: string, images: readonly Float32Array[]): Promise<readonly number[][]> {
  const batch = new Float32Array(images.length * side * side);
  for (const [index, pixels] of images.entries()) batch.set(pixels, index * side * side);
  const session = await InferenceSession.create(modelFile, { intraOpNumThreads: 1 });
  const { probabilities: output } = await session.run({
    image: new Tensor('float32', batch, [images.length, 1, side, side]),
  });
  await session.release();
  if (!(output?.data instanceof Float32Array)) throw new Error(`${modelFile}: no float32 output named probabilities`);
  const values = Array.from(output.data);
  const classes = values.length / images.length;
  return images.map((_, index) => values.slice(index * classes, (index + 1) * classes));
}

// pngjs ships no types; this is the part of it that is used.
const { PNG }: { PNG: { sync: { read(bytes: Uint8Array): { width: number; height: number; data: Uint8Array } } } } =
  createRequire(import.meta.url)('pngjs');

/** A 64 x 64 grey PNG as values from 0 to 1. pngjs widens grey to RGBA, so every fourth byte is a pixel. */
export function readGreyPng(file: string): Float32Array {
  const { width, height, data } = PNG.sync.read(readFileSync(file));
  if (width !== side || height !== side) {
    throw new Error(`${file}: expected ${side} x ${side} pixels, found ${width} x ${height}`);
  }
  return Float32Array.from({ length: side * side }, (_, index) => (data[index * 4] ?? 0) / 255);
}

function bestClass(row: readonly number[]): number {
  return row.indexOf(Math.max(...row));
}

function share(count: number, total: number): number {
  return Math.round((count / total) * 1e6) / 1e6;
}

if (import.meta.main) {
  const comparisons = await compareWithCard(import.meta.dirname);
  for (const { role, accuracy, accuracyOnCard, coverage, coverageOnCard } of comparisons) {
    console.log(
      `${role}: accuracy ${accuracy} (card ${accuracyOnCard}), coverage ${coverage} (card ${coverageOnCard})`,
    );
  }
  const equal = comparisons.every((c) => c.accuracy === c.accuracyOnCard && c.coverage === c.coverageOnCard);
  console.log(equal ? 'equal to the card' : 'NOT equal to the card');
  process.exitCode = equal ? 0 : 1;
}
