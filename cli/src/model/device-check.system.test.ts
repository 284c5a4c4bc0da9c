// What `model publish` refuses before anything is signed: what no device can serve, by the guard's own checks.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseJson } from '@edgekeep/core/json';
import { type GuardSettings, guardSettingsSchema } from '@edgekeep/core/model/guard-settings';
import { checkAsDevice } from './device-check.ts';
import { modelSources } from '../guard/model-sources.ts';

const fixture = (name: string) =>
  fileURLToPath(import.meta.resolve(`@edgekeep/guard/model/runtime`)).replace(
    'model/runtime.ts',
    `fixtures/${name}.onnx`,
  );
const example = new URL('../../../examples/surface-inspection/', import.meta.url);
const million = 1_000_000;
const wide = { leastMillionths: 0, mostMillionths: million };

const settings: GuardSettings = {
  input: { name: 'image', layout: 'NCHW', valueRange: wide },
  output: { name: 'scores', scores: 'logits' },
  labels: ['dark', 'bright'],
  statistics: { brightness: wide, contrast: wide, noise: wide },
};

async function check(name: string, guard?: GuardSettings, fallback?: string): Promise<readonly string[]> {
  const told: string[] = [];
  const sources = await modelSources(fixture(name), fallback === undefined ? undefined : fixture(fallback));
  await checkAsDevice(sources, guard, (step) => told.push(step));
  return told;
}

test('the publisher reads the real interface of both models', async () => {
  assert.deepEqual(await check('primary', settings, 'fallback'), [
    'primary input image: FP32 [-1,1,8,8]',
    'primary output scores: FP32 [-1,2]',
    'fallback input image: FP32 [-1,1,8,8]',
    'fallback output scores: FP32 [-1,2]',
  ]);
});

test('scores [N,K,1,1], sizes that requests choose, and a scalar output are served', async () => {
  await check('pooled', settings);
  assert.deepEqual(await check('total'), ['primary input values: FP32 [-1]', 'primary output total: FP32 []']);
});

test('the settings and models of the example pass', async () => {
  const guard = parseJson(await readFile(new URL('guard.json', example)), guardSettingsSchema, 'guard.json');
  const told: string[] = [];
  const sources = await modelSources(fileURLToPath(new URL('models', example)), undefined);
  await checkAsDevice(sources, guard, (step) => told.push(step));
  assert.ok(told.includes('primary input image: FP32 [-1,1,64,64]'), told.join('\n'));
});

const changed = (change: Partial<GuardSettings>) => ({ ...settings, ...change });
const refused: readonly (readonly [what: string, model: string, guard: GuardSettings | undefined, why: RegExp])[] = [
  ['an output that is a list of maps', 'zipmap', undefined, /probabilities is a list or a map/],
  ['a type without a name in the protocol', 'bfloat', undefined, /BFLOAT16/],
  ['an image without its batch', 'flat', settings, /image of the primary model is FP32 \[8,8\]: a batch of images/],
  [
    'an input that the settings alone name',
    'primary',
    changed({ input: { ...settings.input, name: 'picture' } }),
    /input picture of the primary model does not exist/,
  ],
  [
    'an output that the settings alone name',
    'primary',
    changed({ output: { name: 'logits', scores: 'logits' } }),
    /output logits of the primary model does not exist/,
  ],
  ['another number of labels than of classes', 'primary', changed({ labels: ['a', 'b', 'c'] }), /2 classes/],
];
for (const [what, model, guard, why] of refused) {
  test(`${what} is refused, with the reason`, async () => {
    await assert.rejects(check(model, guard), { name: 'GuardRefusal', code: 'model-interface', message: why });
  });
}

test('a fallback that takes other inputs is refused', async () => {
  await assert.rejects(
    check('primary', settings, 'pooled').then(() => check('pooled', settings, 'primary')),
    {
      code: 'model-interface',
      message: /the fallback model does not take every input/,
    },
  );
});

test('bytes that are no model are refused, without C++ and colors', async () => {
  const sources = [{ path: 'model.onnx', role: 'primary', file: fileURLToPath(import.meta.url) } as const];
  await assert.rejects(
    checkAsDevice(sources, undefined, () => undefined),
    (error: unknown) => {
      assert.ok(error instanceof Error && 'code' in error);
      assert.equal(error.code, 'model-load');
      assert.doesNotMatch(error.message, /\.cc:/);
      assert.ok(!error.message.includes('\u001b'));
      return true;
    },
  );
});

test('guard settings for files that no guard runs are refused', async () => {
  const sources = [{ path: 'engine.plan', role: 'opaque', file: fixture('primary') } as const];
  await checkAsDevice(sources, undefined, () => undefined);
  await assert.rejects(
    checkAsDevice(sources, settings, () => undefined),
    { name: 'UsageError' },
  );
});
