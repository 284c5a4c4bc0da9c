import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseJson } from '@edgekeep/core/json';
import { guardSettingsSchema } from '@edgekeep/core/model/guard-settings';
import { compareWithCard, probabilities, readGreyPng } from './check.ts';

const folder = import.meta.dirname;

test('both exported models score on the shipped test set what the model card says', async () => {
  for (const found of await compareWithCard(folder)) {
    assert.equal(found.accuracy, found.accuracyOnCard, found.role);
    assert.equal(found.coverage, found.coverageOnCard, found.role);
  }
});

test('an image gets the same answer alone as in a batch, and its probabilities sum to 1', async () => {
  const images = ['none-00.png', 'crack-00.png', 'pit-00.png'].map((name) =>
    readGreyPng(join(folder, 'test-set', name)),
  );
  for (const role of ['primary', 'fallback']) {
    const file = join(folder, `models/${role}.onnx`);
    const together = await probabilities(file, images);
    for (const [index, image] of images.entries()) {
      const [alone = []] = await probabilities(file, [image]);
      assert.ok(Math.abs(alone.reduce((sum, value) => sum + value, 0) - 1) < 1e-5);
      for (const [position, value] of alone.entries()) {
        assert.ok(Math.abs(value - (together[index]?.[position] ?? Number.NaN)) < 1e-5);
      }
    }
  }
});

test('guard.json is valid guard settings and names the classes in the order of the test set', () => {
  const settings = parseJson(readFileSync(join(folder, 'guard.json')), guardSettingsSchema, 'guard.json');
  const testSet: { labels: string[] } = JSON.parse(readFileSync(join(folder, 'test-set/labels.json'), 'utf8'));
  assert.deepEqual(settings.labels, testSet.labels);
});

test('each exported model is smaller than 1 MB and the whole folder than 2.5 MB', () => {
  for (const role of ['primary', 'fallback']) {
    assert.ok(statSync(join(folder, `models/${role}.onnx`)).size < 1_000_000, role);
  }
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.includes('/.cache/') && !file.includes('/__pycache__/'));
  assert.ok(files.map((file) => statSync(file).size).reduce((sum, size) => sum + size, 0) < 2_500_000);
});
