// Keys and checkpoints of foreign logs. The oracle for ECDSA and RSA is OpenSSL in the form of node's own signing, and the key ids are computed
// here as the public texts say; the one for ML-DSA-44 is another implementation.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { test } from 'node:test';
import { ml_dsa44 } from '@noble/post-quantum/ml-dsa.js';
import { CoreError } from '../error.ts';
import { openForeignCheckpoint, openUnsignedCheckpoint, parseForeignLogKey } from './foreign-log.ts';

const origin = 'log.example/2026h1';
const root = Buffer.alloc(32, 7);
const text = (size: number, more = '') => `${origin}\n${size}\n${root.toString('base64')}\n${more}`;
const spkiOf = (key: KeyObject) => key.export({ format: 'der', type: 'spki' });
const sha256 = (...parts: (Uint8Array | string)[]) => {
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return digest.digest();
};

interface Log {
  readonly vkey: string;
  readonly note: (body: string, signature: Uint8Array) => Uint8Array;
}

function logOf(type: number, raw: Uint8Array, id: Buffer, name = origin): Log {
  const typed = Buffer.concat([Buffer.of(type), raw]).toString('base64');
  const short = id.subarray(0, 4);
  return {
    vkey: `${name}+${short.toString('hex')}+${typed}`,
    note: (body, signature) =>
      Buffer.from(`${body}\n— ${name} ${Buffer.concat([short, signature]).toString('base64')}\n`),
  };
}

const keyFrom = (vkey: string) => {
  const key = parseForeignLogKey(vkey);
  assert.ok(key !== undefined, vkey);
  return key;
};

for (const namedCurve of ['prime256v1', 'secp384r1', 'secp521r1'])
  test(`a checkpoint signed with ECDSA on ${namedCurve} (type 0x02) is verified, and a changed one is refused`, () => {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve });
    const spki = spkiOf(publicKey);
    const log = logOf(0x02, spki, sha256(spki));
    const key = keyFrom(log.vkey);
    const signed = log.note(text(5), sign('sha256', Buffer.from(text(5)), privateKey));
    const opened = openForeignCheckpoint(signed, key);
    assert.equal(opened.kind === 'verified' && opened.checkpoint.size, 5);
    const changed = log.note(text(6), sign('sha256', Buffer.from(text(5)), privateKey));
    assert.deepEqual(openForeignCheckpoint(changed, key).kind, 'refused');
    assert.equal(openForeignCheckpoint(signed, key, 'another.example').kind, 'refused');
    const { publicKey: other } = generateKeyPairSync('ec', { namedCurve });
    const otherKey = keyFrom(logOf(0x02, spkiOf(other), sha256(spkiOf(other))).vkey);
    assert.equal(openForeignCheckpoint(signed, otherKey).kind, 'refused');
    const wrongId = log.vkey.replace(/\+[0-9a-f]{8}\+/, '+00000000+');
    assert.throws(() => parseForeignLogKey(wrongId), CoreError);
  });

function treeHead(privateKey: KeyObject, size: number, kind: number, timestamp = 1_800_000_000_000n): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(timestamp);
  const sizes = Buffer.alloc(8);
  sizes.writeBigUInt64BE(BigInt(size));
  const signature = sign('sha256', Buffer.concat([Buffer.of(0, 1), time, sizes, root]), privateKey);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(signature.length);
  return Buffer.concat([time, Buffer.of(4, kind), length, signature]);
}

for (const [what, kind, pair] of [
  ['ECDSA', 3, generateKeyPairSync('ec', { namedCurve: 'prime256v1' })],
  ['RSA', 1, generateKeyPairSync('rsa', { modulusLength: 2_048 })],
] as const)
  test(`a tree head of RFC 6962 by ${what} (type 0x05) is verified, and refused when anything of it differs`, () => {
    const { publicKey, privateKey } = pair;
    const spki = spkiOf(publicKey);
    const log = logOf(0x05, spki, sha256(`${origin}\n`, Buffer.of(0x05), sha256(spki)));
    const key = keyFrom(log.vkey);
    const head = treeHead(privateKey, 5, kind);
    assert.equal(openForeignCheckpoint(log.note(text(5), head), key).kind, 'verified');
    const refused: Record<string, Uint8Array> = {
      'another size': log.note(text(6), head),
      'an extension line': log.note(text(5, 'more\n'), head),
      'another timestamp': log.note(text(5), Buffer.concat([Buffer.alloc(8), head.subarray(8)])),
      'another kind of signature': log.note(
        text(5),
        Buffer.concat([head.subarray(0, 9), Buffer.of(2), head.subarray(10)]),
      ),
      'a byte more': log.note(text(5), Buffer.concat([head, Buffer.of(0)])),
      'a byte less': log.note(text(5), head.subarray(0, -1)),
      'a few bytes': log.note(text(5), head.subarray(0, 10)),
    };
    for (const [name, note] of Object.entries(refused))
      assert.equal(openForeignCheckpoint(note, key).kind, 'refused', name);
  });

test('a checkpoint that another implementation signed with ML-DSA-44 alone (type 0x06) is verified, and a changed one is refused', () => {
  const { publicKey, secretKey } = ml_dsa44.keygen(Buffer.alloc(32, 9));
  const log = logOf(0x06, publicKey, sha256(`${origin}\n`, Buffer.of(0x06), publicKey));
  const u64 = (value: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  };
  const opaque = (name: string) => Buffer.concat([Buffer.of(name.length), Buffer.from(name)]);
  const message = Buffer.concat([
    Buffer.from('subtree/v1\n\0'),
    opaque(origin),
    u64(0),
    opaque(origin),
    u64(0),
    u64(5),
    root,
  ]);
  const line = Buffer.concat([u64(0), ml_dsa44.sign(message, secretKey)]);
  const key = keyFrom(log.vkey);
  assert.equal(openForeignCheckpoint(log.note(text(5), line), key).kind, 'verified');
  assert.equal(openForeignCheckpoint(log.note(text(6), line), key).kind, 'refused');
  assert.equal(openForeignCheckpoint(log.note(text(5), line.subarray(0, -1)), key).kind, 'refused');
});

test('keys of our own types are left to parseVerifierKey, and others that do not fit are refused', () => {
  assert.equal(parseForeignLogKey(`${origin}+00000000+${Buffer.alloc(33, 1).toString('base64')}`), undefined);
  assert.equal(parseForeignLogKey('no key'), undefined);
  const { publicKey } = generateKeyPairSync('ed25519');
  const spki = spkiOf(publicKey);
  assert.throws(() => parseForeignLogKey(logOf(0x02, spki, sha256(spki)).vkey), { code: 'key-invalid' });
  assert.throws(() => parseForeignLogKey(logOf(0x02, Buffer.of(1, 2), sha256('')).vkey), { code: 'key-invalid' });
});

test('a log that only its witnesses vouch for is opened by its origin, and of another origin it is refused', () => {
  const note = Buffer.from(`${text(5)}\n— w.example ${Buffer.alloc(12).toString('base64')}\n`);
  assert.equal(openUnsignedCheckpoint(note, origin).kind, 'verified');
  assert.equal(openUnsignedCheckpoint(note, 'other').kind, 'refused');
});
