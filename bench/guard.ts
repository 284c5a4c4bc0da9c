// The cost of the guard: the shipped inspection model with statistics, verdict and fallback against the same session without them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseJson } from '@edgekeep/core/json';
import { guardSettingsSchema } from '@edgekeep/core/model/guard-settings';
import { GuardedModel } from '@edgekeep/guard/model/guarded-model';
import type { InferenceRequest } from '@edgekeep/guard/inference-request';
import { ModelSession } from '@edgekeep/guard/model/session';
import { readGreyPng } from '../examples/surface-inspection/check.ts';
import { spread, type Benchmark, type Comparison, type Harness, type Measurement } from './harness.ts';

const folder = join(import.meta.dirname, '../examples/surface-inspection');
const SLOWDOWN_MAX = 1.15;
const side = 64;

export const bench: Benchmark = {
  name: 'guard',
  title: 'Guarded against bare inference',
  budget: 'Guarded against bare inference on a real image model: at most 1.15x',
  async run(harness) {
    const settings = parseJson(readFileSync(join(folder, 'guard.json')), guardSettingsSchema, 'guard.json');
    const sessions = { primary: await open('primary.onnx'), fallback: await open('fallback.onnx') };
    await using model = new GuardedModel({ name: 'surface-inspection', version: '1.0.0' }, sessions, settings);
    const requests = testImages().map((pixels) => requestOf(settings.input.name, settings.output.name, pixels));
    const accepted: InferenceRequest[] = [];
    for (const request of requests) {
      const { assessments } = await model.infer(request);
      if (assessments?.[0]?.judgement.verdict === 'accepted') accepted.push(request);
    }
    harness.figure('test images accepted outright', (100 * accepted.length) / requests.length, '%');
    const { primary } = sessions;
    const typical = await compare(harness, 'one image at a time, images that are accepted', primary, model, accepted);
    judge(harness, typical, 'on images that are accepted');
    const all = await compare(harness, 'one image at a time, the whole test set', primary, model, requests);
    judge(harness, all, 'on the whole test set, fallback model included');
  },
};

async function open(file: string): Promise<ModelSession> {
  return ModelSession.open({ format: 'onnx', bytes: readFileSync(join(folder, 'models', file)), externalData: [] });
}

function testImages(): readonly Float32Array[] {
  const labels: { readonly images: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(join(folder, 'test-set/labels.json'), 'utf8'),
  );
  return Object.keys(labels.images).map((name) => readGreyPng(join(folder, 'test-set', name)));
}

function requestOf(input: string, output: string, data: Float32Array): InferenceRequest {
  return {
    id: undefined,
    inputs: [{ name: input, datatype: 'FP32', shape: [1, 1, side, side], data }],
    outputs: [{ name: output, binary: false }],
  };
}

async function compare(
  harness: Harness,
  title: string,
  bare: ModelSession,
  guarded: GuardedModel,
  requests: readonly InferenceRequest[],
): Promise<Comparison> {
  return harness.compare({
    title,
    rounds: harness.quick ? 15 : 101,
    work: { amount: requests.length, unit: 'images' },
    peers: [
      {
        name: 'bare',
        run: async () => medianOf(requests, ({ inputs, outputs }) => bare.run(inputs, [outputs[0]?.name ?? ''])),
      },
      { name: 'guarded', run: async () => medianOf(requests, (request) => guarded.infer(request)) },
    ],
  });
}

/**
 * The median time per image, over many images: an image takes a tenth of a millisecond, and one that lost the processor a hundred times
 * that.
 */
async function medianOf(
  requests: readonly InferenceRequest[],
  work: (request: InferenceRequest) => Promise<unknown>,
): Promise<Measurement> {
  const times: number[] = [];
  for (const request of requests) {
    const before = performance.now();
    await work(request);
    times.push(performance.now() - before);
  }
  return { wallMs: spread(times).median * requests.length };
}

function judge(harness: Harness, comparison: Comparison, where: string): void {
  const ratio = comparison.peers.find((peer) => peer.name === 'guarded')?.ratio?.median ?? 0;
  const slowdown = 1 / ratio;
  harness.verdict(
    slowdown <= SLOWDOWN_MAX,
    `guarded takes ${slowdown.toFixed(2)} times as long as bare ${where}; at most ${SLOWDOWN_MAX} is the budget`,
  );
}
