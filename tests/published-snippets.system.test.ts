// Snippets of published guides, word for word, in a small program that makes them run: examples/firmware-signature, examples/confidence-rule.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { flatImage, serve, settings } from '@edgekeep/guard/fixtures/serve';
import { z } from 'zod';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const isCi = process.env['CI'] === 'true';
const noCompiler =
  (!existsSync('/usr/include/openssl/evp.h') || spawnSync('cc', ['--version']).error !== undefined) &&
  !isCi &&
  'no C compiler, or no libssl-dev';
const noPython = spawnSync('python3', ['--version']).error !== undefined && !isCi && 'python3 is not installed';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-snippets-'));
});
after(() => rm(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);

/** As a secure element keeps it: x and y. */
function slotOf(key: KeyObject): Buffer {
  const { x, y } = z.object({ x: z.string(), y: z.string() }).parse(key.export({ format: 'jwk' }));
  return Buffer.concat([Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
}

test('the verifier in C takes a signature that the command line made, and no other', { skip: noCompiler }, async () => {
  await run('cc', [
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    at('verify'),
    join(root, 'examples/firmware-signature/verify.c'),
    '-lcrypto',
  ]);
  const edgekeep = (...words: readonly string[]) =>
    run(process.execPath, [join(root, 'cli/src/main.ts'), 'model', ...words]);
  const firmware = Buffer.alloc(70_000, 'firmware');
  await writeFile(at('firmware.bin'), firmware);
  await edgekeep('keygen', '--type', 'p256', '--out', at('key.pem'));
  await edgekeep(
    'sign',
    at('firmware.bin'),
    '--key',
    at('key.pem'),
    '--detached',
    '--signature',
    at('firmware.bin.sig'),
  );
  await writeFile(at('slot'), slotOf(createPublicKey(await readFile(at('key.pub.pem')))));
  const verify = (slot: string, file: string, signature: string) =>
    spawnSync(at('verify'), [at(slot), at(file), at(signature)]).status;
  assert.equal(verify('slot', 'firmware.bin', 'firmware.bin.sig'), 0);

  const signature = await readFile(at('firmware.bin.sig'));
  const flipped = (bytes: Buffer, where: number) =>
    Buffer.from(bytes.map((byte, index) => (index === where ? byte ^ 1 : byte)));
  await writeFile(at('other.bin'), flipped(firmware, 69_999));
  assert.equal(verify('slot', 'other.bin', 'firmware.bin.sig'), 1);
  await writeFile(at('other-slot'), slotOf(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).publicKey));
  assert.equal(verify('other-slot', 'firmware.bin', 'firmware.bin.sig'), 1);
  await writeFile(at('no-point'), Buffer.alloc(64, 7));
  assert.equal(verify('no-point', 'firmware.bin', 'firmware.bin.sig'), 1);
  for (const wrong of [
    ...[0, 1, 2, 3, 10, signature.length - 1].map((where) => flipped(signature, where)),
    signature.subarray(0, -1),
    Buffer.concat([signature, Buffer.alloc(1)]),
    Buffer.of(0x30),
  ]) {
    await writeFile(at('wrong.sig'), wrong);
    assert.notEqual(verify('slot', 'firmware.bin', 'wrong.sig'), 0, wrong.toString('hex'));
  }
});

const line = z.object({ confidence: z.number(), done: z.array(z.string()), guard: z.number() });

test(
  'the confidence rule of an application reviews what the model is not sure of, by the number that the guard has',
  { skip: noPython },
  async () => {
    await using served = await serve('primary', { settings });
    const write = async (name: string, brightness: number) => {
      await writeFile(at(name), JSON.stringify({ shape: [1, 1, 8, 8], data: flatImage(brightness) }));
      return at(name);
    };
    const images = [await write('sure.json', 0.75), await write('unsure.json', 0.5)];
    const app = join(root, 'examples/confidence-rule/app.py');
    const { stdout } = await run('python3', [app, served.socketPath, 'light', ...images]);
    const [sure, unsure] = stdout
      .trim()
      .split('\n')
      .map((text) => line.parse(JSON.parse(text)));
    assert.ok(sure !== undefined && unsure !== undefined);
    assert.deepEqual([sure.done, unsure.done], [[], ['review', 'fallback']], stdout);
    for (const { confidence, guard } of [sure, unsure]) assert.ok(Math.abs(confidence - guard) < 1e-5, stdout);
  },
);
