import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import * as z from 'zod';
import { concat, parseHex, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { decryptSegment, encryptSegment, startDecryption, startEncryption } from './floe.ts';
import { FloeKeys } from './floe-keys.ts';
import {
  floeHeaderLength,
  layoutOfCiphertext,
  layoutOfPlaintext,
  parseParameters,
  segmentRange,
  SEGMENTS_MAX,
} from './floe-layout.ts';
import { FloeReader } from './floe-reader.ts';
import { decryptStream } from './floe-stream.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/model/floe');
const vectorSchema = z.strictObject({
  comment: z.string(),
  key: z.string(),
  associatedData: z.string(),
  ciphertext: z.string(),
  plaintext: z.string().optional(),
  error: z.string().optional(),
  rotationBits: z.int().optional(),
});

interface Vector {
  readonly name: string;
  readonly key: Uint8Array;
  readonly associatedData: Uint8Array;
  readonly ciphertext: Uint8Array;
  readonly plaintext?: string | undefined;
  readonly error?: string | undefined;
  readonly rotationBits?: number | undefined;
}

function vectors(kind: 'valid' | 'invalid'): readonly Vector[] {
  return readdirSync(join(folder, kind)).map((name) => {
    const vector = parseJson(readFileSync(join(folder, kind, name)), vectorSchema, name);
    const bytes = (field: 'key' | 'associatedData' | 'ciphertext') => parseHex(vector[field], `${name} ${field}`);
    return {
      name: `${name}: ${vector.comment}`,
      key: bytes('key'),
      associatedData: bytes('associatedData'),
      ciphertext: bytes('ciphertext'),
      plaintext: vector.plaintext,
      error: vector.error,
      rotationBits: vector.rotationBits,
    };
  });
}

// The three ways to open a file; they must agree on every vector.
function openBySegments({ key, associatedData, ciphertext, rotationBits }: Vector): Uint8Array {
  using state = startDecryption(key, associatedData, ciphertext.subarray(0, floeHeaderLength), rotationBits);
  const layout = layoutOfCiphertext(ciphertext.length, state.segmentLength);
  const parts: Uint8Array[] = [];
  for (let position = 0; position < layout.segments; position += 1) {
    const { offset, length } = segmentRange(layout, position);
    const segment = ciphertext.subarray(offset, offset + length);
    parts.push(decryptSegment(state, segment, position, position === layout.segments - 1));
  }
  return concat(...parts);
}

async function openByStream({ key, associatedData, ciphertext }: Vector): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of decryptStream(oneByOne(ciphertext), key, associatedData)) parts.push(chunk.slice());
  return concat(...parts);
}

async function* oneByOne(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += 1) yield bytes.subarray(offset, offset + 1);
}

async function openByReader({ key, associatedData, ciphertext }: Vector): Promise<Uint8Array> {
  const read = async (offset: number, length: number) => ciphertext.subarray(offset, offset + length);
  using reader = await FloeReader.open(read, ciphertext.length, key, associatedData);
  return await reader.read(0, reader.plaintextLength);
}

suite('valid FLOE vectors open', () => {
  for (const vector of vectors('valid')) {
    test(vector.name, async () => {
      assert.equal(toHex(openBySegments(vector)), vector.plaintext);
      if (vector.rotationBits !== undefined) return;
      assert.equal(toHex(await openByStream(vector)), vector.plaintext);
      assert.equal(toHex(await openByReader(vector)), vector.plaintext);
    });
  }
});

suite('invalid FLOE vectors are refused by their name', () => {
  for (const vector of vectors('invalid')) {
    test(vector.name, async () => {
      const refusal = { name: 'CoreError', code: vector.error };
      assert.throws(() => openBySegments(vector), refusal);
      await assert.rejects(openByStream(vector), refusal);
      await assert.rejects(openByReader(vector), refusal);
    });
  }
});

const key = randomBytes(32);
const associatedData = randomBytes(32);

test('a header names its segment length, and the decryptor takes it from there', () => {
  using sealing = startEncryption(key, associatedData, 4096, randomBytes);
  assert.equal(parseParameters(sealing.header), 4096);
  using opening = startDecryption(key, associatedData, sealing.header);
  assert.equal(opening.segmentLength, 4096);
});

test('the AES key changes with segment 2^20 and not before', () => {
  using sealing = startEncryption(key, associatedData, 4096, randomBytes);
  const first = sealing.keys.segmentKey(0);
  assert.ok(sealing.keys.segmentKey(2 ** 20 - 1).equals(first));
  assert.ok(!sealing.keys.segmentKey(2 ** 20).equals(first));
  assert.ok(sealing.keys.segmentKey(SEGMENTS_MAX - 1).equals(sealing.keys.segmentKey(SEGMENTS_MAX - 2 ** 20)));
});

test('the last position there is can only be a final segment', () => {
  using sealing = startEncryption(key, associatedData, 64, randomBytes);
  const plaintext = new Uint8Array(32);
  const last = SEGMENTS_MAX - 1;
  const segment = encryptSegment(sealing, plaintext, last, true, randomBytes);
  assert.deepEqual(decryptSegment(sealing, segment, last, true), plaintext);
  const refusal = { name: 'CoreError', code: 'sealed-model-invalid' };
  assert.throws(() => encryptSegment(sealing, plaintext, last, false, randomBytes), refusal);
  assert.throws(() => encryptSegment(sealing, plaintext, SEGMENTS_MAX, true, randomBytes), refusal);
  assert.throws(() => encryptSegment(sealing, plaintext, -1, true, randomBytes), refusal);
  assert.throws(() => encryptSegment(sealing, plaintext, 0.5, true, randomBytes), refusal);
});

test('an inner segment must be full and a final one must fit', () => {
  using sealing = startEncryption(key, associatedData, 64, randomBytes);
  const refusal = { name: 'CoreError', code: 'sealed-model-invalid' };
  assert.throws(() => encryptSegment(sealing, new Uint8Array(31), 0, false, randomBytes), refusal);
  assert.throws(() => encryptSegment(sealing, new Uint8Array(33), 0, true, randomBytes), refusal);
});

test('segments encrypt and decrypt in place', () => {
  using sealing = startEncryption(key, associatedData, 300_000, randomBytes);
  const plaintext = randomBytes(300_000 - 32);
  const memory = new Uint8Array(300_000);
  memory.set(plaintext, 16);
  const segment = encryptSegment(sealing, memory.subarray(16, -16), 7, false, randomBytes, memory);
  assert.equal(segment.buffer, memory.buffer);
  const opened = decryptSegment(sealing, segment, 7, false, segment);
  assert.equal(opened.buffer, memory.buffer);
  assert.deepEqual(Buffer.from(opened), plaintext);
});

test('no plaintext of a segment that does not verify is left in memory', () => {
  using sealing = startEncryption(key, associatedData, 300_000, randomBytes);
  const segment = encryptSegment(sealing, randomBytes(200_000), 0, true, randomBytes);
  segment[segment.length - 1] = (segment.at(-1) ?? 0) ^ 1;
  const into = new Uint8Array(segment.length);
  assert.throws(() => decryptSegment(sealing, segment, 0, true, into), CoreError);
  assert.ok(into.every((byte) => byte === 0));
});

test('keys that were disposed of open nothing any more', () => {
  const sealing = startEncryption(key, associatedData, 64, randomBytes);
  const segment = encryptSegment(sealing, new Uint8Array(3), 0, true, randomBytes);
  sealing[Symbol.dispose]();
  assert.throws(() => decryptSegment(sealing, segment, 0, true), { code: 'sealed-model-key' });
});

test('keys of any other length than 32 bytes are refused', () => {
  const context = { parameters: new Uint8Array(10), iv: new Uint8Array(32), associatedData };
  for (const length of [0, 16, 31, 33, 64]) {
    assert.throws(() => new FloeKeys(new Uint8Array(length), context), { code: 'sealed-model-key' });
  }
});

test('a file has the fewest segments that hold it, and its length gives back the same layout', () => {
  for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 4096]) {
    const planned = layoutOfPlaintext(length, 48);
    assert.equal(planned.segments, Math.max(1, Math.ceil(length / 16)));
    assert.equal(planned.plaintextLength, length);
    assert.deepEqual(layoutOfCiphertext(planned.ciphertextLength, 48), planned);
  }
});
