// Sealing and opening large files: FLOE as this product writes it against one AES-256-GCM message, age, Fernet and openssl enc. First in
// one process, memory to memory, then as programs, file to file, with their peak memory.
import { spawnSync } from 'node:child_process';
import { createCipheriv, createDecipheriv, createSecretKey, randomBytes } from 'node:crypto';
import { closeSync, existsSync, openSync, writeSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { freemem } from 'node:os';
import { join } from 'node:path';
import { FloeReader } from '@edgekeep/core/model/floe-reader';
import { type ByteSource, decryptStream, encryptStream } from '@edgekeep/core/model/floe-stream';
import { type Benchmark, type Comparison, type Harness, number, type Peer } from './harness.ts';

const RATIO_MIN = 0.8;
const MEMORY_MAX = 64 * 2 ** 20;
/** The comparison in one process holds plaintext, two sealed forms, and the result of the one-shot peer. */
const inProcessCopies = 5;
/** Fernet holds the file about this many times, in memory and in base64. */
const fernetCopies = 9;

export const bench: Benchmark = {
  name: 'seal',
  title: 'Sealing and opening a model',
  budget:
    'seal and open at 80 % or more of the speed of one-shot AES-256-GCM in the same process, and stream with less than 64 MiB over the memory of an empty file',
  async run(harness) {
    await inProcess(harness, 100_000_000, harness.quick ? 3 : 9);
    if (!harness.quick) await inProcess(harness, 1_000_000_000, 3);
    await asPrograms(harness, 100_000_000, harness.quick ? 2 : 5);
    if (!harness.quick) await asPrograms(harness, 1_000_000_000, 2);
  },
};

async function inProcess(harness: Harness, length: number, rounds: number): Promise<void> {
  if (freemem() < inProcessCopies * length) {
    harness.note(
      `${length / 1e6} MB in one process was left out: it needs ${number((inProcessCopies * length) / 2 ** 30)} GiB.`,
    );
    return;
  }
  const key = randomBytes(32);
  const aead = createSecretKey(key);
  const associatedData = randomBytes(32);
  const plaintext = randomBytes(length);
  const work = { amount: length, unit: 'B' };
  const iv = randomBytes(12);

  const sealed = await gather(encryptStream(pieces(plaintext), key, associatedData, { randomBytes }), length);
  const message = createCipheriv('aes-256-gcm', aead, iv);
  const ciphertext = message.update(plaintext);
  message.final();
  const tag = message.getAuthTag();

  const sealing = await harness.compare({
    title: `Seal ${length / 1e6} MB, memory to memory, one process`,
    rounds,
    work,
    peers: [
      { name: oneShot, run: async () => sealWhole(aead, iv, plaintext, plaintext.length) },
      { name: inUpdates, run: async () => sealWhole(aead, iv, plaintext, updateLength) },
      {
        name: 'FLOE, streamed',
        run: () => drain(encryptStream(pieces(plaintext), key, associatedData, { randomBytes })),
      },
    ],
  });
  const opening = await harness.compare({
    title: `Open ${length / 1e6} MB, memory to memory, one process`,
    rounds,
    work,
    peers: [
      { name: oneShot, run: async () => openWhole(aead, iv, ciphertext, tag, ciphertext.length) },
      { name: inUpdates, run: async () => openWhole(aead, iv, ciphertext, tag, updateLength) },
      { name: 'FLOE, streamed', run: () => drain(decryptStream(pieces(sealed), key, associatedData)) },
      { name: 'FLOE, into one memory', run: () => openIntoMemory(sealed, key, associatedData) },
    ],
  });
  judge(harness, `seal ${length / 1e6} MB`, sealing, ['FLOE, streamed']);
  judge(harness, `open ${length / 1e6} MB`, opening, ['FLOE, streamed', 'FLOE, into one memory']);
}

const oneShot = 'AES-256-GCM, one shot';
const updateLength = 64 * 1024;
const inUpdates = 'AES-256-GCM, one message in updates of 64 KiB';

function judge(harness: Harness, verb: string, comparison: Comparison, names: readonly string[]): void {
  for (const name of names) {
    const ratio = comparison.peers.find((peer) => peer.name === name)?.ratio?.median ?? 0;
    const percent = `${Math.round(ratio * 100)} %`;
    harness.verdict(ratio >= RATIO_MIN, `${verb} (${name}): ${percent} of one-shot AES-256-GCM; the budget is 80 %.`);
  }
}

function sealWhole(
  key: Parameters<typeof createCipheriv>[1],
  iv: Uint8Array,
  plaintext: Uint8Array,
  step: number,
): void {
  const cipher = createCipheriv('aes-256-gcm', key, iv);
  for (let at = 0; at < plaintext.length; at += step) cipher.update(plaintext.subarray(at, at + step));
  cipher.final();
  cipher.getAuthTag();
}

function openWhole(
  key: Parameters<typeof createCipheriv>[1],
  iv: Uint8Array,
  ciphertext: Uint8Array,
  tag: Uint8Array,
  step: number,
): void {
  const decipher = createDecipheriv('aes-256-gcm', key, iv);
  decipher.setAuthTag(tag);
  for (let at = 0; at < ciphertext.length; at += step) decipher.update(ciphertext.subarray(at, at + step));
  decipher.final();
}

async function openIntoMemory(sealed: Uint8Array, key: Uint8Array, associatedData: Uint8Array): Promise<void> {
  const read = async (offset: number, length: number) => sealed.subarray(offset, offset + length);
  using reader = await FloeReader.open(read, sealed.length, key, associatedData);
  await reader.read(0, reader.plaintextLength);
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 2 ** 20) yield bytes.subarray(at, at + 2 ** 20);
}

async function drain(chunks: ByteSource): Promise<void> {
  for await (const _ of chunks);
}

async function gather(chunks: ByteSource, length: number): Promise<Uint8Array> {
  const whole = new Uint8Array(length + 2 ** 16);
  let at = 0;
  for await (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole.subarray(0, at);
}

async function asPrograms(harness: Harness, length: number, rounds: number): Promise<void> {
  const file = (name: string) => join(harness.scratch, name);
  makeFile(file('plain'), length);
  makeFile(file('empty'), 0);
  await writeFile(file('key'), randomBytes(32), { mode: 0o600 });
  const programs = await programsOf(file, length);
  for (const verb of ['seal', 'open'] as const) {
    const comparison = await harness.compare({
      title: `${verb === 'seal' ? 'Seal' : 'Open'} ${length / 1e6} MB, file to file, as programs`,
      rounds,
      work: { amount: length, unit: 'B' },
      peers: programs.map((program) => peerOf(harness, program, verb, file)),
    });
    await judgeMemory(harness, verb, comparison, length, file);
  }
}

type Verb = 'seal' | 'open';

interface Program {
  readonly name: string;
  readonly missing: string | undefined;
  /** Program and arguments that turn file `from` into file `to`. */
  command(verb: Verb, from: string, to: string): readonly string[];
}

function peerOf(harness: Harness, program: Program, verb: Verb, file: (name: string) => string): Peer {
  const sealed = file(`sealed-${program.name.replaceAll(/\W/g, '')}`);
  const [from, to] = verb === 'seal' ? [file('plain'), sealed] : [sealed, file('opened')];
  const [command = '', ...args] = program.command(verb, from, to);
  return { name: program.name, missing: program.missing, run: () => harness.child(command, args) };
}

const edgekeep = 'edgekeep floe';

async function programsOf(file: (name: string) => string, length: number): Promise<readonly Program[]> {
  const key = file('key');
  const recipient = await ageRecipient(file);
  const fernet = join(import.meta.dirname, 'children/fernet.py');
  return [
    {
      name: 'AES-256-GCM, one shot, in Node',
      missing: undefined,
      command: (verb, from, to) => [
        process.execPath,
        join(import.meta.dirname, 'children/one-shot.ts'),
        verb,
        key,
        from,
        to,
      ],
    },
    { name: edgekeep, missing: undefined, command: (verb, from, to) => floe(verb, key, from, to) },
    {
      name: 'age',
      missing: recipient === undefined ? 'age is not installed' : undefined,
      command: (verb, from, to) =>
        verb === 'seal'
          ? ['age', '-r', recipient ?? '', '-o', to, from]
          : ['age', '-d', '-i', file('identity'), '-o', to, from],
    },
    {
      name: 'openssl enc -aes-256-ctr (no authentication)',
      missing: runs('openssl', ['version']) ? undefined : 'openssl is not installed',
      command: (verb, from, to) => [
        'openssl',
        'enc',
        ...(verb === 'open' ? ['-d'] : []),
        '-aes-256-ctr',
        '-pbkdf2',
        '-pass',
        `file:${key}`,
        '-in',
        from,
        '-out',
        to,
      ],
    },
    {
      name: 'Fernet (python3-cryptography)',
      missing: fernetMissing(length),
      command: (verb, from, to) => ['/usr/bin/python3', fernet, verb, key, from, to],
    },
  ];
}

function floe(verb: Verb, key: string, from: string, to: string): readonly string[] {
  const main = join(import.meta.dirname, '../cli/src/main.ts');
  return [process.execPath, main, 'floe', verb === 'seal' ? 'encrypt' : 'decrypt', from, to, '--key-file', key];
}

async function ageRecipient(file: (name: string) => string): Promise<string | undefined> {
  if (!existsSync(file('identity')) && !runs('age-keygen', ['-o', file('identity')])) return undefined;
  return /age1\w+/.exec(await readFile(file('identity'), 'utf8'))?.[0];
}

function fernetMissing(length: number): string | undefined {
  if (!runs('/usr/bin/python3', ['-c', 'import cryptography'])) return 'python3-cryptography is not installed';
  const needed = fernetCopies * length;
  return freemem() < needed ? `it needs about ${number(needed / 2 ** 30)} GiB of memory` : undefined;
}

function runs(program: string, args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

// Random bytes, repeated: no peer compresses.
function makeFile(path: string, length: number): void {
  const block = randomBytes(2 ** 20);
  const file = openSync(path, 'w');
  for (let left = length; left > 0; left -= block.length) writeSync(file, block, 0, Math.min(left, block.length));
  closeSync(file);
}

async function judgeMemory(
  harness: Harness,
  verb: Verb,
  comparison: Comparison,
  length: number,
  file: (name: string) => string,
): Promise<void> {
  const peak = comparison.peers.find((peer) => peer.name === edgekeep)?.peakRssBytes?.most;
  const [from, to] =
    verb === 'seal' ? [file('empty'), file('empty.sealed')] : [file('empty.sealed'), file('empty.opened')];
  const [command = '', ...args] = floe(verb, file('key'), from, to);
  const { peakRssBytes: baseline, wallMs } = await harness.child(command, args);
  harness.note(
    `${edgekeep} ${verb}: an empty file takes ${number(wallMs)} ms, which is starting up; it is also the only one that syncs its output to disk.`,
  );
  if (peak === undefined || baseline === undefined) {
    harness.note('Peak memory was not measured: GNU time is not installed.');
    return;
  }
  const over = `${number((peak - baseline) / 2 ** 20)} MiB over the ${number(baseline / 2 ** 20)} MiB of an empty file`;
  harness.verdict(peak - baseline < MEMORY_MAX, `${verb} ${length / 1e6} MB in ${over}; the budget is 64 MiB.`);
}
