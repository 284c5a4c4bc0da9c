import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseJson } from '@edgekeep/core/json';
import { confidenceThreshold, guardSettingsSchema } from '@edgekeep/core/model/guard-settings';
import { batchStatistics, unusualStatistics } from '@edgekeep/guard/model/statistics';
import { gradeScores, judge, type Judgement } from '@edgekeep/guard/model/verdict';
import { compareWithCard, probabilities, readGreyPng } from './check.ts';

const folder = import.meta.dirname;
const settings = parseJson(readFileSync(join(folder, 'guard.json')), guardSettingsSchema, 'guard.json');

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

test('the guard judges each hostile image as its note says', async () => {
  const notes: Record<string, { verdict: string; reasons: string[] }> = JSON.parse(read('hostile/notes.json'));
  const names = Object.keys(notes);
  const judgements = await judgeFiles(names.map((name) => join(folder, 'hostile', name)));
  for (const [index, name] of names.entries()) {
    const { verdict, reasons } = notes[name] ?? {};
    assert.deepEqual([judgements[index]?.verdict, judgements[index]?.reasons], [verdict, reasons], name);
  }
});

test('the guard gives the clean test set the verdicts of the card', async () => {
  const { clean }: { clean: { test: Record<string, number> } } = JSON.parse(read('results.json'));
  const testSet: { images: Record<string, string> } = JSON.parse(read('test-set/labels.json'));
  const names = Object.keys(testSet.images);
  const judgements = await judgeFiles(names.map((name) => join(folder, 'test-set', name)));
  for (const verdict of ['accepted', 'fallback', 'review']) {
    const count = judgements.filter((judgement) => judgement.verdict === verdict).length;
    assert.equal(count / names.length, clean.test[verdict], verdict);
  }
});

test('guard.json is valid guard settings and names the classes in the order of the test set', () => {
  const testSet: { labels: string[] } = JSON.parse(read('test-set/labels.json'));
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

/** The guard's verdict about each file, given both models' answers. */
async function judgeFiles(files: readonly string[]): Promise<readonly Judgement[]> {
  const images = files.map(readGreyPng);
  const primary = await probabilities(join(folder, 'models/primary.onnx'), images);
  const fallback = await probabilities(join(folder, 'models/fallback.onnx'), images);
  return images.map((data, index) => {
    const batch = { data, layout: settings.input.layout, count: 1, channels: 1, height: 64, width: 64 };
    const unusual = batchStatistics(batch, settings.input.valueRange).flatMap((statistics) =>
      unusualStatistics(statistics, settings.statistics),
    );
    const [first, second] = [primary, fallback].map((rows) =>
      gradeScores(Float32Array.from(rows[index] ?? []), settings.output.scores),
    );
    assert.ok(first);
    return judge(unusual, first, second, confidenceThreshold(settings));
  });
}

function read(name: string): string {
  return readFileSync(join(folder, name), 'utf8');
}
