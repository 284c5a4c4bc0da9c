// `guard calibrate` and `guard try` on the example, with pictures and with arrays of NumPy.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseJson } from '@edgekeep/core/json';
import { guardSettingsSchema } from '@edgekeep/core/model/guard-settings';
import { z } from 'zod';

const run = promisify(execFile);
const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const example = fileURLToPath(new URL('../../../examples/surface-inspection', import.meta.url));
const primary = join(example, 'models/primary.onnx');
const fixture = fileURLToPath(import.meta.resolve('@edgekeep/guard/model/runtime')).replace(
  'model/runtime.ts',
  'fixtures/primary.onnx',
);

const edgekeep = async (...words: readonly string[]) => run(process.execPath, [main, ...words]);
const answerSchema = z.looseObject({ parameters: z.looseObject({ verdict: z.string() }) });

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-calibrate-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A version 1 file of one FP32 array. */
function numpyFile(shape: readonly number[], values: readonly number[]): Buffer {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${shape.join(', ')}), }`;
  const header = Buffer.from(`${text.padEnd(117)}\n`);
  const length = Buffer.alloc(2);
  length.writeUInt16LE(header.length);
  const data = Buffer.from(Float32Array.from(values).buffer);
  return Buffer.concat([Buffer.from('\u0093NUMPY\u0001\u0000', 'latin1'), length, header, data]);
}

test('settings from pictures of the example are valid, accept the pictures, and judge one as a device would', async () => {
  await inFolder(async (folder) => {
    const out = join(folder, 'guard.json');
    const labels = ['--labels', 'none,scratch,pit,inclusion,crack'];
    const { stdout } = await edgekeep(
      'guard',
      'calibrate',
      primary,
      join(example, 'test-set'),
      '--out',
      out,
      ...labels,
    );
    assert.match(stdout, /^wrote .* from 100 images: input image \(NCHW, 0\.0000 to 1\.0000\), output probabilities/);
    const settings = parseJson(await readFile(out), guardSettingsSchema, out);
    assert.equal(settings.output.scores, 'probabilities');
    assert.equal(settings.labels?.length, 5);
    const picture = join(example, 'test-set/crack-00.png');
    const tried = await edgekeep('guard', 'try', primary, picture, '--guard', out);
    const answer = parseJson(Buffer.from(tried.stdout), answerSchema, 'the answer');
    assert.equal(answer.parameters.verdict, 'accepted');
    assert.equal(answer.parameters['label'], 'crack');
  });
});

test('arrays of NumPy are read as they are, and an image of another size is refused by name', async () => {
  await inFolder(async (folder) => {
    const flat = (brightness: number) => Array.from({ length: 64 }, () => brightness);
    for (const [at, brightness] of [0.2, 0.3, 0.7, 0.8].entries())
      await writeFile(join(folder, `${at}.npy`), numpyFile([1, 8, 8], flat(brightness)));
    const { stdout } = await edgekeep('guard', 'calibrate', fixture, folder, '--quantile', '0');
    const settings = parseJson(Buffer.from(stdout), guardSettingsSchema, 'the settings');
    assert.equal(settings.output.scores, 'logits');
    assert.deepEqual(settings.statistics.brightness, { leastMillionths: 140_000, mostMillionths: 860_001 });
    await writeFile(join(folder, 'x.npy'), numpyFile([1, 4, 4], flat(0.5).slice(0, 16)));
    await assert.rejects(edgekeep('guard', 'try', fixture, join(folder, 'x.npy')), { code: 3, stderr: /\[1,4,4\]/ });
    const picture = join(example, 'test-set/crack-00.png');
    await assert.rejects(edgekeep('guard', 'try', fixture, picture), { code: 3, stderr: /64 x 64 pixels/ });
  });
});

test('an inference request is tried as an application sends it', async () => {
  await inFolder(async (folder) => {
    const file = join(folder, 'request.json');
    const data = Array.from({ length: 64 }, () => 0.75);
    await writeFile(file, JSON.stringify({ inputs: [{ name: 'image', shape: [1, 1, 8, 8], datatype: 'FP32', data }] }));
    const { stdout } = await edgekeep('guard', 'try', fixture, file);
    assert.equal(parseJson(Buffer.from(stdout), answerSchema, 'the answer').parameters.verdict, 'unguarded');
  });
});

test('values that are normalized by channel give the range of their ends', async () => {
  await inFolder(async (folder) => {
    await writeFile(
      join(folder, '0.npy'),
      numpyFile(
        [1, 8, 8],
        Array.from({ length: 64 }, () => 0),
      ),
    );
    const values = ['--mean', '0.5', '--deviation', '0.25'];
    const { stdout } = await edgekeep('guard', 'calibrate', fixture, folder, ...values);
    const { input } = parseJson(Buffer.from(stdout), guardSettingsSchema, 'the settings');
    assert.deepEqual(input.valueRange, { leastMillionths: -2_000_000, mostMillionths: 2_000_000 });
  });
});
