// From a file to the first answer, in a separate process, for bench/open-model.ts: `first-inference.ts path|bytes|sealed FILE WIDTH`, and
// for a sealed file KEY, a file of 32 bytes. Prints the milliseconds from the first byte read to the answer.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { ModelSession } from '@edgekeep/guard/model/session';
import { readSealedFile } from '@edgekeep/wire/file/sealed-file';
import { InferenceSession, Tensor } from '@edgekeep/guard/model/runtime';

const [kind, path = '', width = '0', keyPath = ''] = process.argv.slice(2);
const input = { shape: [1, Number(width)], data: new Float32Array(Number(width)).fill(0.5) };
const before = performance.now();
if (kind === 'path') {
  const session = await InferenceSession.create(path, { executionProviders: ['cpu'], logSeverityLevel: 3 });
  await session.run({ x0: new Tensor('float32', input.data, input.shape) });
} else {
  const bytes = kind === 'bytes' ? readFileSync(path) : await open();
  const format = path.includes('.ort') ? 'ort' : 'onnx';
  const session = await ModelSession.open({ format, bytes, externalData: [] });
  const outputs = session.outputs.map((output) => output.name);
  await session.run([{ name: 'x0', datatype: 'FP32', ...input }], outputs);
}
process.stdout.write(`${performance.now() - before}\n`);

async function open(): Promise<Buffer> {
  const binding = { path: 'model', manifestDigest: new Uint8Array(32) };
  const plaintext = await readSealedFile(path, readFileSync(keyPath), binding);
  return Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength);
}
