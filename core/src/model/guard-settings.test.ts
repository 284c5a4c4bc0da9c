import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseValue } from '../json.ts';
import { confidenceThreshold, guardSettingsSchema } from './guard-settings.ts';

const range = { leastMillionths: 0, mostMillionths: 1_000_000 };
const good = {
  input: { name: 'image', layout: 'NCHW', valueRange: range },
  output: { name: 'scores', scores: 'logits' },
  statistics: { brightness: range, contrast: range, noise: range },
};

const parse = (value: unknown) => parseValue(value, guardSettingsSchema, 'guard settings');

test('settings without a threshold mean 0.85', () => {
  assert.equal(confidenceThreshold(parse(good)), 0.85);
  assert.equal(confidenceThreshold(parse({ ...good, confidenceThresholdMillionths: 900_000 })), 0.9);
});

const upsideDown = { leastMillionths: 2, mostMillionths: 1 };
const refused: Readonly<Record<string, unknown>> = {
  'an unknown field': { ...good, extra: 1 },
  'an unknown layout': { ...good, input: { ...good.input, layout: 'CHW' } },
  'a decimal number': { ...good, confidenceThresholdMillionths: 0.85 },
  'a threshold of zero': { ...good, confidenceThresholdMillionths: 0 },
  'a threshold above one': { ...good, confidenceThresholdMillionths: 1_000_001 },
  'a range upside down': { ...good, statistics: { ...good.statistics, noise: upsideDown } },
  'a value range without width': {
    ...good,
    input: { ...good.input, valueRange: { leastMillionths: 1, mostMillionths: 1 } },
  },
  'a statistic missing': { ...good, statistics: { brightness: range, contrast: range } },
  'a number beyond a million': {
    ...good,
    statistics: { ...good.statistics, noise: { leastMillionths: 0, mostMillionths: 1e12 + 1 } },
  },
  'a single label': { ...good, labels: ['good'] },
  'an empty label': { ...good, labels: ['good', ''] },
  'an empty tensor name': { ...good, output: { ...good.output, name: '' } },
};

for (const [what, value] of Object.entries(refused)) {
  test(`settings with ${what} are refused`, () => {
    assert.throws(() => parse(value), { name: 'CoreError', code: 'json-schema' });
  });
}
