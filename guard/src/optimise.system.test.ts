// The `.ort` twin: made in a separate process, it gives the same answers; ONNX Runtime stores and sends no data about anybody.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { flatImage, openFixture } from './fixtures/serve.ts';
import { ModelSession } from './model/session.ts';

const run = promisify(execFile);
const main = fileURLToPath(new URL('optimise-main.ts', import.meta.url));
const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url));

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-optimise-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

for (const name of ['primary', 'fallback', 'external'] as const) {
  test(`the twin of ${name}.onnx answers as the model does`, async () => {
    await withFolder(async (folder) => {
      const twin = join(folder, 'twin.ort');
      await run(process.execPath, [main, fixture(`${name}.onnx`), twin]);
      await using optimised = await ModelSession.open({ format: 'ort', bytes: await readFile(twin), externalData: [] });
      await using original = await openFixture(name);
      assert.deepEqual(optimised.inputs, original.inputs);
      for (const brightness of [0.1, 0.48, 0.75]) {
        const data = Float32Array.from(flatImage(brightness));
        const image = { name: 'image', datatype: 'FP32', shape: [1, 1, 8, 8], data } as const;
        assert.deepEqual(await optimised.run([image], ['scores']), await original.run([image], ['scores']));
      }
    });
  });
}

test('a damaged twin is refused or loaded, and never brings the process down', async () => {
  await withFolder(async (folder) => {
    const twin = join(folder, 'twin.ort');
    await run(process.execPath, [main, fixture('primary.onnx'), twin]);
    const good = await readFile(twin);
    for (const length of [0, 4, 8, 100, good.length - 100]) {
      const bytes = Buffer.from(good.subarray(0, length));
      await assert.rejects(
        ModelSession.open({ format: 'ort', bytes, externalData: [] }),
        { code: 'model-load' },
        String(length),
      );
    }
  });
});

test('a file that is not a model gives exit code 3, wrong words 2', async () => {
  await assert.rejects(run(process.execPath, [main, main, '/dev/null']), { code: 3 });
  await assert.rejects(run(process.execPath, [main, 'one']), { code: 2 });
});

test('ONNX Runtime leaves no telemetry in the home folder', async () => {
  await withFolder(async (folder) => {
    const environment = { HOME: folder, PATH: process.env['PATH'] };
    await withFolder(async (out) => {
      await run(process.execPath, [main, fixture('primary.onnx'), join(out, 'twin.ort')], { env: environment });
    });
    assert.deepEqual(await readdir(folder), []);
  });
});
