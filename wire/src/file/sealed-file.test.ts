import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startEncryption } from '@edgekeep/core/model/floe';
import { layoutOfPlaintext } from '@edgekeep/core/model/floe-layout';
import { sealFile } from '@edgekeep/core/model/sealed-file';
import { decryptFile, encryptFile, openSealedFile, readChunks, readSealedFile, writeAll } from './sealed-file.ts';
import { transformOnThreads } from './sealed-file-threads.ts';

const key = randomBytes(32);
const associatedData = randomBytes(32);
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-sealed-file-'));
});
after(() => rm(folder, { recursive: true }));

async function made(name: string, bytes: Uint8Array): Promise<string> {
  await writeFile(join(folder, name), bytes);
  return join(folder, name);
}

test('a file that is encrypted and decrypted is the same file', async () => {
  for (const length of [0, 1, 992, 993, 2_500_000]) {
    await using input = await open(await made('plain', randomBytes(length)));
    await using sealed = await open(join(folder, 'sealed'), 'w+');
    await using opened = await open(join(folder, 'opened'), 'w+');
    const totals = await encryptFile(input, sealed, key, associatedData, { segmentLength: 1024 });
    assert.equal(totals.plaintextLength, length);
    assert.equal(totals.ciphertextLength, (await sealed.stat()).size);
    assert.deepEqual(await decryptFile(sealed, opened, key, associatedData), totals);
    assert.deepEqual(await readFile(join(folder, 'opened')), await readFile(join(folder, 'plain')));
  }
});

test('several threads make the file that one thread opens, and open it again', async () => {
  const plaintext = randomBytes(300_001);
  await using input = await open(await made('plain', plaintext));
  await using sealed = await open(join(folder, 'sealed'), 'w+');
  const layout = layoutOfPlaintext(plaintext.length, 4096);
  const { header } = startEncryption(key, associatedData, 4096, randomBytes);
  await sealed.write(header, 0, header.length, 0);
  const job = { key, associatedData, header, layout } as const;
  await transformOnThreads({ ...job, kind: 'encrypt', input, output: sealed }, 3);
  await using opened = await open(join(folder, 'opened'), 'w+');
  await decryptFile(sealed, opened, key, associatedData);
  assert.deepEqual(await readFile(join(folder, 'opened')), plaintext);
  await using again = await open(join(folder, 'again'), 'w+');
  await transformOnThreads({ ...job, kind: 'decrypt', input: sealed, output: again }, 2);
  assert.deepEqual(await readFile(join(folder, 'again')), plaintext);
});

// SECURITY.md: NET-04
test('a changed segment is refused by name on whichever thread it falls, and is not written', async () => {
  const plaintext = new Uint8Array(40_000).fill(7);
  await using input = await open(await made('plain', plaintext));
  await using sealed = await open(join(folder, 'sealed'), 'w+');
  await encryptFile(input, sealed, key, associatedData, { segmentLength: 1024 });
  const bytes = await readFile(join(folder, 'sealed'));
  const layout = layoutOfPlaintext(plaintext.length, 1024);
  for (const position of [0, 20, layout.segments - 1]) {
    const changed = Uint8Array.from(bytes);
    changed[74 + position * 1024 + 20] = (changed[74 + position * 1024 + 20] ?? 0) ^ 1;
    await using from = await open(await made('changed', changed));
    await using to = await open(join(folder, 'to'), 'w+');
    const header = bytes.subarray(0, 74);
    const job = { kind: 'decrypt', input: from, output: to, key, associatedData, header, layout } as const;
    await assert.rejects(transformOnThreads(job, 2), { name: 'CoreError', code: 'sealed-model-invalid' });
    const written = await readFile(join(folder, 'to'));
    const place = written.subarray(position * 992, position * 992 + 992);
    assert.ok(place.every((byte) => byte === 0));
  }
});

test('a sealed file of a model opens whole and at any place, and under no other path', async () => {
  const modelKey = randomBytes(32);
  const binding = { path: 'surface.onnx', manifestDigest: randomBytes(32) };
  const plaintext = randomBytes(2_500_000);
  await using input = await open(await made('plain', plaintext));
  await using output = await open(join(folder, 'sealed'), 'w');
  await writeAll(output, sealFile(readChunks(input), modelKey, binding, { randomBytes }));
  const path = join(folder, 'sealed');
  assert.deepEqual(Buffer.from(await readSealedFile(path, modelKey, binding)), plaintext);
  await using file = await openSealedFile(path, modelKey, binding);
  assert.deepEqual(Buffer.from(await file.reader.read(1_000_000, 100_000)), plaintext.subarray(1_000_000, 1_100_000));
  const other = { ...binding, path: 'other.onnx' };
  await assert.rejects(readSealedFile(path, modelKey, other), { code: 'sealed-model-key' });
});

test('a sealed file that was cut on disk is refused', async () => {
  await using input = await open(await made('plain', randomBytes(5000)));
  await using sealed = await open(join(folder, 'sealed'), 'w+');
  await encryptFile(input, sealed, key, associatedData, { segmentLength: 1024 });
  const { size } = await stat(join(folder, 'sealed'));
  for (const length of [0, 73, 74, 74 + 1024, size - 1]) {
    await sealed.truncate(length);
    await using opened = await open(join(folder, 'opened'), 'w+');
    const refusal = { name: 'CoreError', code: 'sealed-model-invalid' };
    await assert.rejects(decryptFile(sealed, opened, key, associatedData), refusal);
  }
});
