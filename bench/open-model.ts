// From a file on disk to the first answer: the sealed model, as the device opens it, against the same model in plaintext. Each run is a
// separate process that takes the time itself, from the first byte read to the answer, so that the start of Node does not count.
import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sealFile } from '@edgekeep/core/model/sealed-file';
import { readChunks, writeAll } from '@edgekeep/wire/file/sealed-file';
import { type Benchmark, type Comparison, type Harness, number, type Peer } from './harness.ts';

/** At most this multiple of the time for the same `.ort` file in plaintext. */
const TIMES_MAX = 1.5;

export const bench: Benchmark = {
  name: 'open-model',
  title: 'Sealed file to first inference',
  budget: 'faster than the plaintext `.onnx` file, and at most 1.5 times the same `.ort` file in plaintext',
  async run(harness) {
    const width = harness.quick ? 1024 : 4096;
    const layers = 6;
    const file = (name: string) => join(harness.scratch, name);
    await makeModels(harness, file, width, layers);
    const peer = (name: string, ...words: readonly string[]): Peer => ({
      name,
      run: () => infer(harness, words, width),
    });
    const comparison = await harness.compare({
      title: `A model of ${number((width * width * 4 * layers) / 1e6)} MB, to the first answer`,
      rounds: harness.quick ? 3 : 5,
      peers: [
        peer(names.onnx, 'path', file('model.onnx')),
        peer('.onnx in plaintext, from memory', 'bytes', file('model.onnx')),
        peer('.onnx sealed', 'sealed', file('model.onnx.floe'), file('key')),
        peer(names.ort, 'bytes', file('model.ort')),
        peer(names.sealed, 'sealed', file('model.ort.floe'), file('key')),
      ],
    });
    judge(harness, comparison);
  },
};

const names = {
  onnx: '.onnx in plaintext, from its file',
  ort: '.ort in plaintext',
  sealed: '.ort sealed',
} as const;

async function makeModels(
  harness: Harness,
  file: (name: string) => string,
  width: number,
  layers: number,
): Promise<void> {
  const children = join(import.meta.dirname, 'children');
  const optimise = join(import.meta.dirname, '../guard/src/optimise-main.ts');
  await harness.child(process.execPath, [
    join(children, 'matrix-model.ts'),
    file('model.onnx'),
    `${width}`,
    `${layers}`,
  ]);
  await harness.child(process.execPath, [optimise, file('model.onnx'), file('model.ort')]);
  const modelKey = randomBytes(32);
  await writeFile(file('key'), modelKey, { mode: 0o600 });
  const binding = { path: 'model', manifestDigest: new Uint8Array(32) };
  for (const name of ['model.onnx', 'model.ort']) {
    await using from = await open(file(name));
    await using to = await open(file(`${name}.floe`), 'w');
    await writeAll(to, sealFile(readChunks(from), modelKey, binding, { randomBytes }));
  }
}

async function infer(harness: Harness, [kind = '', path = '', key = '']: readonly string[], width: number) {
  const child = join(import.meta.dirname, 'children/first-inference.ts');
  const stdout = join(harness.scratch, 'milliseconds');
  const measured = await harness.child(process.execPath, [child, kind, path, `${width}`, key], { stdout });
  return { ...measured, wallMs: Number(await readFile(stdout, 'utf8')) };
}

function judge(harness: Harness, comparison: Comparison): void {
  const median = (name: string) => comparison.peers.find((peer) => peer.name === name)?.wallMs?.median ?? Number.NaN;
  const [sealed, onnx, ort] = [median(names.sealed), median(names.onnx), median(names.ort)];
  const times = (sealed / ort).toFixed(2);
  harness.verdict(sealed < onnx, `sealed .ort ${number(sealed)} ms, plaintext .onnx file ${number(onnx)} ms.`);
  harness.verdict(sealed <= TIMES_MAX * ort, `sealed .ort takes ${times} times the plaintext .ort; the budget is 1.5.`);
}
