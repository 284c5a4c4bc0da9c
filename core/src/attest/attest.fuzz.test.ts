// Every vector with bytes changed, cut, doubled or inserted: the result is a named error or a refusal, and nothing hangs.
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { appraiseEvidence } from './appraise.ts';
import { verifyAttestationResult } from './ear.ts';
import { parseEventLog } from './event-log.ts';
import { parseEvidence } from './evidence.ts';
import { imaEntryEnds, parseImaLog, replayImaLog } from './ima-log.ts';
import { encodeReferenceValues, parseReferenceValues } from './reference-values.ts';
import { replayEventLog } from './replay.ts';
import { diceVectorSchema, vectorsOf, vectorWindowSchema } from './testing-vectors.ts';
import { tierSchema } from './tier.ts';

const inputs = Number(process.env['EDGEKEEP_FUZZ_INPUTS'] ?? 2000);

const mutation = fc.record({
  kind: fc.constantFrom('set', 'flip', 'cut', 'insert', 'double', 'swap'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  to: fc.double({ min: 0, max: 1, noNaN: true }),
  byte: fc.integer({ min: 0, max: 255 }),
});
type Mutation = typeof mutation extends fc.Arbitrary<infer T> ? T : never;

function mutate(bytes: Uint8Array, changes: readonly Mutation[]): Uint8Array {
  let current = Buffer.from(bytes);
  for (const { kind, at, to, byte } of changes) {
    const start = Math.floor(at * current.length);
    const end = Math.floor(to * current.length);
    if (kind === 'cut') current = Buffer.concat([current.subarray(0, start), current.subarray(Math.max(start, end))]);
    else if (kind === 'insert')
      current = Buffer.concat([current.subarray(0, start), Buffer.of(byte), current.subarray(start)]);
    else if (kind === 'double') current = Buffer.concat([current, current.subarray(start)]);
    else if (kind === 'swap') current = Buffer.concat([current.subarray(start), current.subarray(0, start)]);
    else if (current.length > start)
      current[start] = kind === 'flip' ? (current[start] ?? 0) ^ (1 << (byte & 7)) : byte;
  }
  return current;
}

function fuzz(seeds: readonly Uint8Array[], run: (bytes: Uint8Array, seed: number) => void): void {
  const seed = fc.nat({ max: seeds.length - 1 });
  fc.assert(
    fc.property(seed, fc.array(mutation, { minLength: 1, maxLength: 3 }), (index, changes) => {
      try {
        run(mutate(seeds[index] ?? new Uint8Array(), changes), index);
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
      }
    }),
    { numRuns: inputs },
  );
}

const log = z.object({ log: z.string() });
const bothOf = (kind: 'event-log' | 'ima-log') =>
  [...vectorsOf(kind, 'valid', log), ...vectorsOf(kind, 'invalid', log)].map((vector) => parseHex(vector.log, 'log'));

test('a mutated event log is replayed or refused by name', () => {
  fuzz(bothOf('event-log'), (bytes) => {
    const parsed = parseEventLog(bytes);
    for (const bank of parsed.banks) replayEventLog(parsed, bank);
  });
});

test('a mutated IMA log is replayed or refused by name', () => {
  fuzz(bothOf('ima-log'), (bytes) => {
    assert.ok(imaEntryEnds(bytes).every((end) => end <= bytes.length));
    replayImaLog(parseImaLog(bytes), 'sha256');
  });
});

test('mutated reference values are refused by name, or are the canonical form of what they say', () => {
  const document = z.object({ document: z.string() });
  const seeds = [
    ...vectorsOf('reference-values', 'valid', document),
    ...vectorsOf('reference-values', 'invalid', document),
  ];
  fuzz(
    seeds.map((vector) => utf8(vector.document)),
    (bytes) => {
      assert.equal(
        Buffer.from(encodeReferenceValues(parseReferenceValues(bytes))).toString(),
        Buffer.from(bytes).toString(),
      );
    },
  );
});

test('a mutated token never verifies', () => {
  const token = z.object({
    token: z.string(),
    key: z.string(),
    window: vectorWindowSchema,
  });
  // A mutation may repair a broken vector: the padded one loses its padding.
  const good = new Set(vectorsOf('result', 'valid', token).map((vector) => vector.token));
  const vectors = [...vectorsOf('result', 'valid', token), ...vectorsOf('result', 'invalid', token)];
  fuzz(
    vectors.map((vector) => utf8(vector.token)),
    (bytes, seed) => {
      const vector = vectors[seed];
      if (vector === undefined || good.has(Buffer.from(bytes).toString())) return;
      const key = createPublicKey({ key: Buffer.from(vector.key, 'hex'), format: 'der', type: 'spki' });
      assert.equal(verifyAttestationResult(Buffer.from(bytes).toString(), key, vector.window).kind, 'refused');
    },
  );
});

// SECURITY.md: HUB-60
test('evidence is refused by name or contraindicated after any change to what the signature covers', () => {
  const vector = z.object({
    evidence: z.string(),
    key: z.string(),
    qualifiedName: z.string().optional(),
    tier: tierSchema,
    qualifyingData: z.string(),
    pcrs: z.array(z.number()),
    referenceValues: z.array(z.string()),
    dice: diceVectorSchema.optional(),
  });
  const vectors = vectorsOf('evidence', 'valid', vector).map((found) => ({
    ...found,
    publicKey: createPublicKey({ key: Buffer.from(found.key, 'hex'), format: 'der', type: 'spki' }),
    sets: found.referenceValues.map((document) => parseReferenceValues(utf8(document))),
    parsed: parseEvidence(utf8(found.evidence)),
  }));
  // One seed per signed part of a vector: mutating the whole document would mostly break its JSON.
  const seeds = vectors.flatMap(({ parsed }, index) => [
    { index, part: 'signature', bytes: parsed.signature },
    {
      index,
      part: parsed.kind === 'tpm' ? 'quote' : 'statement',
      bytes: parsed.kind === 'tpm' ? parsed.quote : parsed.statement,
    },
    { index, part: 'eventLog', bytes: parsed.eventLog },
  ]);
  fuzz(
    seeds.map(({ bytes }) => bytes),
    (bytes, at) => {
      const seed = seeds[at];
      const found = seed === undefined ? undefined : vectors[seed.index];
      if (seed === undefined || found === undefined || Buffer.compare(bytes, seed.bytes) === 0) return;
      const appraisal = appraiseEvidence({
        evidence: { ...found.parsed, [seed.part]: bytes },
        key: {
          publicKey: found.publicKey,
          qualifiedName: found.qualifiedName === undefined ? undefined : parseHex(found.qualifiedName, 'name'),
        },
        tier: found.tier,
        expectedQualifyingData: parseHex(found.qualifyingData, 'qualifying data'),
        pcrSelection: found.pcrs,
        referenceValues: found.sets,
        dice: found.dice,
      });
      // Event data and padding are covered by no digest, so a changed log may still replay to what was quoted.
      if (seed.part !== 'eventLog') assert.equal(appraisal.status, 'contraindicated');
    },
  );
});
