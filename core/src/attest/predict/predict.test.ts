import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { concat, toHex, utf8 } from '../../bytes.ts';
import { parseEventLog } from '../event-log.ts';
import { cryptoAgileLog, testEvent, type TestEvent } from '../testing.ts';
import { authenticodeDigest, sectionsOf } from './portable-executable.ts';
import { predictBoot } from './predict.ts';

const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest();

interface Part {
  readonly name: string;
  readonly content: Uint8Array;
  /** In memory; longer than the content. */
  readonly virtualSize?: number;
}

/** A portable executable with these sections, as a linker lays it out, and a signature behind them. */
function executable(parts: readonly Part[], signature = new Uint8Array(0)): Uint8Array {
  const headerSize = 0x400;
  const head = Buffer.alloc(headerSize);
  head.write('MZ', 0);
  head.writeUInt32LE(0x40, 0x3c);
  head.write('PE\0\0', 0x40);
  head.writeUInt16LE(parts.length, 0x46);
  head.writeUInt16LE(240, 0x54);
  const optional = 0x58;
  head.writeUInt16LE(0x20b, optional);
  head.writeUInt32LE(headerSize, optional + 60);
  head.writeUInt32LE(0xdddddddd, optional + 64); // a checksum, which is not hashed
  let offset = headerSize;
  for (const [index, { name, content, virtualSize = content.length }] of parts.entries()) {
    const at = optional + 240 + 40 * index;
    head.write(name, at);
    for (const [field, value] of [virtualSize, 0x1000 * index, content.length, offset].entries())
      head.writeUInt32LE(value, at + 8 + 4 * field);
    offset += content.length;
  }
  head.writeUInt32LE(signature.length > 0 ? offset : 0, optional + 112 + 32);
  head.writeUInt32LE(signature.length, optional + 112 + 36);
  return concat(head, ...parts.map(({ content }) => content), signature);
}

const text = (name: string, content: string): Part => ({ name, content: utf8(content) });

test('the digest of an image leaves out its checksum and its signature, and nothing else', () => {
  const parts = [text('.text', 'code'), text('.data', 'data')];
  const unsigned = executable(parts);
  const signed = executable(parts, new Uint8Array(64).fill(7));
  assert.deepEqual(authenticodeDigest(signed), authenticodeDigest(unsigned));
  const checksum = Uint8Array.from(unsigned);
  checksum[0x58 + 64] = 0;
  assert.deepEqual(authenticodeDigest(checksum), authenticodeDigest(unsigned));
  for (const at of [0x10, 0x58 + 60 - 1, unsigned.length - 1]) {
    const changed = Uint8Array.from(unsigned);
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.notDeepEqual(authenticodeDigest(changed), authenticodeDigest(unsigned), `octet ${at}`);
  }
});

test('a section is as long as it is in memory', () => {
  const longer = executable([{ name: '.osrel', content: utf8('ID=x'), virtualSize: 6 }]);
  assert.equal(Buffer.from(sectionsOf(longer).get('.osrel') ?? []).toString(), 'ID=x\0\0');
  const shorter = executable([{ name: '.osrel', content: utf8('ID=x\0\0\0\0'), virtualSize: 4 }]);
  assert.equal(Buffer.from(sectionsOf(shorter).get('.osrel') ?? []).toString(), 'ID=x');
});

test('sections that together take too much memory are refused before they are made', () => {
  const half = { content: utf8('x'), virtualSize: 600 * 1024 * 1024 };
  const image = executable([
    { name: '.linux', ...half },
    { name: '.initrd', ...half },
  ]);
  assert.throws(() => sectionsOf(image), { code: 'image-invalid', message: /1258291200 bytes in memory/ });
});

test('a file that is no image, or whose parts lie outside it, is refused', () => {
  const image = executable([text('.text', 'code')]);
  assert.throws(() => authenticodeDigest(utf8('MZ')), { code: 'image-invalid' });
  assert.throws(() => authenticodeDigest(image.subarray(0, image.length - 2)), { code: 'image-invalid' });
  assert.throws(() => authenticodeDigest(image.subarray(0, 0x44)), { code: /image-invalid|bytes-truncated/ });
});

const kernel = executable([text('.text', 'kernel 6.1.0-56')], new Uint8Array(8));
const nextKernel = executable([text('.text', 'kernel 6.1.0-57')], new Uint8Array(8));
const command = 'linux /vmlinuz-6.1.0-56 quiet';
const booted: readonly TestEvent[] = [
  { ...testEvent(4, 0x80000003, 'kernel'), measured: utf8('') },
  { ...testEvent(8, 0xd, `grub_cmd: ${command}\0`), measured: utf8(command) },
  { ...testEvent(9, 0xd, '/vmlinuz-6.1.0-56\0'), measured: kernel },
  testEvent(7, 4, new Uint8Array(4)),
];

/** The log, with the digest of the image in PCR 4. */
function logOf() {
  const log = parseEventLog(cryptoAgileLog(booted));
  return log.events.map((event) =>
    event.pcr === 4 ? { ...event, digests: { sha256: authenticodeDigest(kernel) } } : event,
  );
}

const change = { name: 'vmlinuz', before: kernel, after: nextKernel };
const names = { before: '6.1.0-56', after: '6.1.0-57' };

test('an update of a kernel changes its image, its file and the commands that name it', () => {
  const { events, replaced } = predictBoot(logOf(), [change], [names]);
  assert.deepEqual(
    replaced.map(({ pcr, by }) => [pcr, by]),
    [
      [4, 'image of vmlinuz'],
      [8, 'command of GRUB'],
      [9, 'content of vmlinuz'],
    ],
  );
  const digestOf = (pcr: number) =>
    toHex(events.find((event) => event.pcr === pcr)?.digests.sha256 ?? new Uint8Array(0));
  assert.equal(digestOf(4), toHex(authenticodeDigest(nextKernel)));
  assert.equal(digestOf(8), toHex(sha256('linux /vmlinuz-6.1.0-57 quiet')));
  assert.equal(digestOf(9), toHex(sha256(nextKernel)));
  assert.equal(Buffer.from(events.find(({ pcr }) => pcr === 9)?.event ?? []).toString(), '/vmlinuz-6.1.0-57\0');
});

test('a change that no event shows is refused by name', () => {
  const other = { name: 'other', before: utf8('other'), after: utf8('next') };
  assert.throws(() => predictBoot(logOf(), [change, other], []), {
    code: 'prediction-impossible',
    message: /by other/,
  });
  const unread = { before: 'quiet splash', after: 'quiet' };
  assert.throws(() => predictBoot(logOf(), [], [unread]), { code: 'prediction-impossible', message: /quiet splash/ });
});

test('a command whose digest covers another text is not changed', () => {
  const lying = parseEventLog(
    cryptoAgileLog([{ ...testEvent(8, 0xd, `grub_cmd: ${command}\0`), measured: utf8('x') }]),
  );
  assert.throws(() => predictBoot(lying.events, [], [names]), { code: 'prediction-impossible' });
});

test('a unified image is foretold by its sections, and refused where they are other ones', () => {
  const inner = executable([text('.text', 'inner')]);
  const image = (commandLine: string, more: readonly Part[] = []) =>
    executable([{ name: '.linux', content: inner }, text('.cmdline', commandLine), text('.initrd', 'root'), ...more]);
  const wide = (line: string) => Buffer.from(`${line}\0`, 'utf16le');
  const log = parseEventLog(
    cryptoAgileLog([
      { ...testEvent(11, 0xd, wide('.cmdline')), measured: utf8('.cmdline\0') },
      { ...testEvent(11, 0xd, wide('.cmdline')), measured: utf8('quiet') },
      { ...testEvent(9, 6, 'LoadOptions'), measured: wide('quiet') },
    ]),
  );
  const update = { name: 'image', before: image('quiet'), after: image('debug') };
  const { events, replaced } = predictBoot(log.events, [update], []);
  assert.deepEqual(
    replaced.map(({ by }) => by),
    ['section .cmdline of image', 'command line of image'],
  );
  assert.equal(toHex(events[1]?.digests.sha256 ?? new Uint8Array(0)), toHex(sha256('.cmdline\0')));
  assert.equal(toHex(events[3]?.digests.sha256 ?? new Uint8Array(0)), toHex(sha256(wide('debug'))));
  const more = { ...update, after: image('debug', [text('.uname', '6.1')]) };
  assert.throws(() => predictBoot(log.events, [more], []), { code: 'prediction-impossible', message: /\.uname/ });
});
