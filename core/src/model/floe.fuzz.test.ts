// Mutations of every FLOE vector: for any change, the result is a named error or the unchanged plaintext.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as z from 'zod';
import { concat, equalBytes, parseHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { FloeReader } from './floe-reader.ts';
import { decryptStream } from './floe-stream.ts';

const inputs = Number(process.env.EDGEKEEP_FUZZ_INPUTS ?? 4000);
const folder = join(import.meta.dirname, '../../../spec/vectors/model/floe');
const schema = z.object({
  key: z.string(),
  associatedData: z.string(),
  ciphertext: z.string(),
  plaintext: z.string().optional(),
  rotationBits: z.int().optional(),
});

const seeds = ['valid', 'invalid'].flatMap((kind) =>
  readdirSync(join(folder, kind)).flatMap((name) => {
    const vector = parseJson(readFileSync(join(folder, kind, name)), schema, name);
    if (vector.rotationBits !== undefined) return [];
    return {
      key: parseHex(vector.key, name),
      associatedData: parseHex(vector.associatedData, name),
      ciphertext: parseHex(vector.ciphertext, name),
      plaintext: vector.plaintext === undefined ? undefined : parseHex(vector.plaintext, name),
    };
  }),
);

const mutation = fc.oneof(
  fc.record({ kind: fc.constant('set'), at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) }),
  fc.record({ kind: fc.constant('insert'), at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }) }),
  fc.record({ kind: fc.constant('delete'), at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }) }),
  fc.record({ kind: fc.constant('repeat'), at: fc.nat(), bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }) }),
);

function mutate(bytes: Uint8Array, how: { kind: string; at: number; bytes: Uint8Array }): Uint8Array {
  const at = bytes.length === 0 ? 0 : how.at % bytes.length;
  const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
  if (how.kind === 'insert') return concat(before, how.bytes, after);
  if (how.kind === 'delete') return concat(before, after.subarray(how.bytes.length));
  if (how.kind === 'repeat') return concat(before, after.subarray(0, how.bytes.length), after);
  return concat(before, how.bytes, after.subarray(how.bytes.length));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function stream(bytes: Uint8Array, key: Uint8Array, associatedData: Uint8Array): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of decryptStream(once(bytes), key, associatedData)) parts.push(chunk.slice());
  return concat(...parts);
}

async function readAll(bytes: Uint8Array, key: Uint8Array, associatedData: Uint8Array): Promise<Uint8Array> {
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  using reader = await FloeReader.open(read, bytes.length, key, associatedData);
  return await reader.read(0, reader.plaintextLength);
}

test('no mutation of a vector crashes, hangs or is accepted', async () => {
  const cases = fc.record({
    seed: fc.constantFrom(...seeds),
    mutations: fc.array(mutation, { minLength: 1, maxLength: 4 }),
  });
  await fc.assert(
    fc.asyncProperty(cases, async ({ seed, mutations }) => {
      const bytes = mutations.reduce(mutate, seed.ciphertext);
      for (const open of [stream, readAll]) {
        try {
          const opened = await open(bytes, seed.key, seed.associatedData);
          // Mutations may cancel out, or repair an invalid vector: the result is then a valid one. Nothing else may open.
          const known = seeds.find((other) => other.plaintext !== undefined && equalBytes(other.ciphertext, bytes));
          assert.ok(known?.plaintext !== undefined, 'a mutated file was accepted');
          assert.ok(equalBytes(opened, known.plaintext));
        } catch (error) {
          if (!(error instanceof CoreError)) throw error;
        }
      }
    }),
    { numRuns: inputs },
  );
});

test('random bytes are never a sealed file', async () => {
  const key = new Uint8Array(32);
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 400, size: 'max' }), async (bytes) => {
      await assert.rejects(stream(bytes, key, key), CoreError);
      await assert.rejects(readAll(bytes, key, key), CoreError);
    }),
    { numRuns: Math.ceil(inputs / 4) },
  );
});
