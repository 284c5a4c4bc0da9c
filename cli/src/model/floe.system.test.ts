// `edgekeep floe encrypt|decrypt` as a user runs it: files, pipes, interruption, memory, and an independent reader in Python.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setInterval } from 'node:timers/promises';

const main = join(import.meta.dirname, '../main.ts');
const gnuTime = '/usr/bin/time';
const python = '/usr/bin/python3';
let folder = '';
const path = (name: string) => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-floe-'));
  await writeFile(path('key'), randomBytes(32), { mode: 0o600 });
  await writeFile(path('aad'), 'bound to this');
});
after(() => rm(folder, { recursive: true }));

interface Run {
  readonly status: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
}

function floe(args: readonly string[], input?: Uint8Array): Run {
  const options = { maxBuffer: 2 ** 28, ...(input === undefined ? {} : { input }) };
  const run = spawnSync(process.execPath, [main, 'floe', ...args], options);
  return { status: run.status, stdout: run.stdout, stderr: run.stderr.toString('utf8') };
}

const keyed = () => ['--key-file', path('key')];

/** Skips the test with a reason, except in CI, where everything must be installed. */
function missing(tool: string, isThere: boolean): { skip?: string } {
  return isThere || process.env.CI === 'true' ? {} : { skip: `${tool} is not installed` };
}

test('a file goes through encrypt and decrypt unchanged, bound to its associated data', async () => {
  const plaintext = randomBytes(3_000_000);
  await writeFile(path('plain'), plaintext);
  const bound = [...keyed(), '--aad-file', path('aad')];
  assert.equal(floe(['encrypt', path('plain'), path('sealed'), ...bound, '--segment-length', '5000']).status, 0);
  assert.equal(floe(['decrypt', path('sealed'), path('opened'), ...bound]).status, 0);
  assert.deepEqual(await readFile(path('opened')), plaintext);
  assert.equal((await stat(path('opened'))).mode & 0o777, 0o600);
  const unbound = floe(['decrypt', path('sealed'), path('unbound'), ...keyed(), '--json']);
  assert.equal(unbound.status, 1);
  assert.match(unbound.stdout.toString(), /sealed-model-key/);
  assert.equal(existsSync(path('unbound')), false);
});

test('stdin and stdout carry bytes only: the report goes to stderr', () => {
  const plaintext = randomBytes(2_100_000);
  const sealed = floe(['encrypt', '-', '-', ...keyed(), '--json'], plaintext);
  assert.equal(sealed.status, 0);
  assert.match(sealed.stderr, /"plaintextLength": 2100000/);
  const opened = floe(['decrypt', '-', '-', ...keyed()], sealed.stdout);
  assert.equal(opened.status, 0);
  assert.deepEqual(opened.stdout, plaintext);
});

test('a stream that was cut gives a true beginning on stdout and exit code 1', () => {
  const plaintext = randomBytes(100_000);
  const sealed = floe(['encrypt', '-', '-', ...keyed(), '--segment-length', '1000'], plaintext).stdout;
  const opened = floe(['decrypt', '-', '-', ...keyed()], sealed.subarray(0, 50_000));
  assert.equal(opened.status, 1);
  assert.ok(opened.stdout.length > 0 && plaintext.subarray(0, opened.stdout.length).equals(opened.stdout));
});

test('a file that does not verify leaves OUT unchanged, and nothing beside it', async () => {
  const sealed = floe(['encrypt', '-', '-', ...keyed(), '--segment-length', '1000'], randomBytes(10_000)).stdout;
  sealed[sealed.length - 1] = (sealed.at(-1) ?? 0) ^ 1;
  await writeFile(path('changed'), sealed);
  await writeFile(path('stood'), 'before');
  assert.equal(floe(['decrypt', path('changed'), path('stood'), ...keyed()]).status, 1);
  assert.equal(await readFile(path('stood'), 'utf8'), 'before');
  assert.deepEqual(await partials(), []);
});

test('a key file of any other length than 32 bytes, and wrong words, are refused', async () => {
  for (const length of [0, 31, 33, 64]) {
    await writeFile(path('bad-key'), randomBytes(length));
    const run = floe(['encrypt', path('plain'), path('never'), '--key-file', path('bad-key')]);
    assert.equal(run.status, 3);
    assert.match(run.stderr, /sealed-model-key/);
  }
  for (const length of ['32', '4294967295', '-1', '1e3', '1.5', '']) {
    assert.equal(floe(['encrypt', path('plain'), path('never'), ...keyed(), '--segment-length', length]).status, 2);
  }
  assert.equal(floe(['encrypt', path('plain'), path('never')]).status, 2);
  assert.equal(floe(['encrypt', path('absent'), path('never'), ...keyed()]).status, 3);
  assert.equal(existsSync(path('never')), false);
});

test('a key file that others can read is warned about', async () => {
  await writeFile(path('open-key'), randomBytes(32));
  await chmod(path('open-key'), 0o644);
  const run = floe(['encrypt', '-', path('warned'), '--key-file', path('open-key')], randomBytes(10));
  assert.equal(run.status, 0);
  assert.match(run.stdout.toString(), /mode 0644/);
});

async function partials(): Promise<readonly string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.partial'));
}

// A decryption that got half of its input and waits for the rest, with its partial file begun.
async function halfway(out: string): Promise<ChildProcess> {
  const sealed = floe(['encrypt', '-', '-', ...keyed(), '--segment-length', '1000'], randomBytes(1_000_000)).stdout;
  const child = spawn(process.execPath, [main, 'floe', 'decrypt', '-', path(out), ...keyed()], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  // It dies while bytes are still being sent.
  child.stdin.on('error', () => undefined);
  child.stdin.write(sealed.subarray(0, 500_000));
  for await (const _ of setInterval(10)) {
    const [partial] = await partials();
    if (partial !== undefined && (await stat(path(partial))).size > 0) break;
  }
  return child;
}

test('a decryption that is terminated leaves neither OUT nor a partial file', async () => {
  const child = await halfway('terminated');
  child.kill('SIGTERM');
  const [, signal] = await once(child, 'exit');
  assert.equal(signal, 'SIGTERM');
  assert.equal(existsSync(path('terminated')), false);
  assert.deepEqual(await partials(), []);
});

test('a decryption that is killed leaves no OUT, and its partial file is its owner’s alone', async () => {
  const child = await halfway('killed');
  child.kill('SIGKILL');
  await once(child, 'exit');
  assert.equal(existsSync(path('killed')), false);
  for (const name of await partials()) {
    assert.equal((await stat(path(name))).mode & 0o777, 0o600);
    await rm(path(name));
  }
});

test(
  '400 MB go through in less than 64 MiB over the memory of an empty file',
  missing('GNU time', existsSync(gnuTime)),
  async () => {
    await sparse('empty', 0);
    await sparse('large', 400_000_000);
    const digest = await sha256('large');
    for (const verb of ['encrypt', 'decrypt']) {
      const [from, to] = verb === 'encrypt' ? ['', '.sealed'] : ['.sealed', '.opened'];
      const baseline = peak([verb, path(`empty${from}`), path(`empty${to}`), ...keyed()]);
      const large = peak([verb, path(`large${from}`), path(`large${to}`), ...keyed()]);
      assert.ok(large - baseline < 64 * 1024, `${verb}: ${large - baseline} KiB over the baseline`);
      const piped = peakOfPipe(verb, path(`large${from}`));
      assert.ok(piped - baseline < 64 * 1024, `${verb} from pipe to pipe: ${piped - baseline} KiB over the baseline`);
    }
    assert.equal(await sha256('large.opened'), digest);
  },
);

async function sparse(name: string, length: number): Promise<void> {
  await using file = await open(path(name), 'w');
  await file.truncate(length);
  if (length > 0) await file.write(randomBytes(1000), 0, 1000, length - 1000);
}

async function sha256(name: string): Promise<string> {
  const hash = createHash('sha256');
  await using file = await open(path(name));
  for await (const chunk of file.createReadStream()) hash.update(chunk);
  return hash.digest('hex');
}

/** Peak resident set in KiB. */
function peak(args: readonly string[]): number {
  const run = spawnSync(gnuTime, ['-f', '%M', process.execPath, main, 'floe', ...args]);
  assert.equal(run.status, 0, run.stderr.toString());
  return Number(run.stderr.toString().trim().split('\n').at(-1));
}

function peakOfPipe(verb: string, from: string): number {
  const words = [process.execPath, main, 'floe', verb, '-', '-', ...keyed()];
  const script = 'cat "$1" | (shift; exec /usr/bin/time -f %M "$@") | cat >/dev/null';
  const run = spawnSync('/bin/sh', ['-c', script, 'sh', from, ...words]);
  assert.equal(run.status, 0, run.stderr.toString());
  return Number(run.stderr.toString().trim().split('\n').at(-1));
}

const independentReader = `
import sys
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
key, aad, data = (open(name, 'rb').read() for name in sys.argv[1:4])
params, iv, tag, body = data[:10], data[10:42], data[42:74], data[74:]
def kdf(k, purpose, length):
    return HKDFExpand(hashes.SHA384(), length, params + iv + purpose + aad).derive(k)
assert kdf(key, b'HEADER_TAG:', 32) == tag
message_key, length, out, position = kdf(key, b'MESSAGE_KEY:', 48), int.from_bytes(params[2:6], 'big'), b'', 0
while body:
    segment, body = body[:length], body[length:]
    assert segment[:4] == (b'\\xff' * 4 if body else len(segment).to_bytes(4, 'big'))
    dek = kdf(message_key, b'DEK:' + (position & ~0xfffff).to_bytes(8, 'big'), 32)
    out += AESGCM(dek).decrypt(segment[4:16], segment[16:], position.to_bytes(8, 'big') + (b'\\0' if body else b'\\1'))
    position += 1
sys.stdout.buffer.write(out)
`;
const hasCryptography = spawnSync(python, ['-c', 'import cryptography']).status === 0;

test(
  'a reader written from the standard in Python opens what encrypt makes',
  missing('python3-cryptography', hasCryptography),
  async () => {
    for (const [length, segmentLength] of [
      [0, '1048576'],
      [10_000, '1000'],
      [968 * 3, '1000'],
      [1_500_000, '1048576'],
    ] as const) {
      const plaintext = randomBytes(length);
      const bound = [...keyed(), '--aad-file', path('aad'), '--segment-length', segmentLength];
      const sealed = floe(['encrypt', '-', path('for-python'), ...bound], plaintext);
      assert.equal(sealed.status, 0, sealed.stderr);
      const words = ['-c', independentReader, path('key'), path('aad'), path('for-python')];
      const run = spawnSync(python, words, { maxBuffer: 2 ** 24 });
      assert.equal(run.status, 0, run.stderr.toString());
      assert.ok(plaintext.equals(run.stdout));
    }
  },
);
