// Byte mutations of every vector: each reader returns a value or one of our errors, and encodes every accepted value to the same bytes.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseHex, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { parseAttest } from './attest.ts';
import { encodeAttest, parsePcrSelections } from './testing-attest.ts';
import { encodePcrSelections } from './pcr-selection.ts';
import { encodePublic, parsePublic } from './public-area.ts';
import { encodeTpmSignature, parseTpmSignature } from './signature.ts';

const inputs = Number(process.env['EDGEKEEP_FUZZ_INPUTS'] ?? 20_000);
const folder = new URL('../../../spec/vectors/tpm/', import.meta.url);
const withBytes = z.object({ subject: z.string(), bytes: z.string() });

const roundTrips = new Map<string, (bytes: Uint8Array) => Uint8Array>([
  ['public-area', (bytes) => encodePublic(parsePublic(bytes))],
  ['attest', (bytes) => encodeAttest(parseAttest(bytes))],
  ['signature', (bytes) => encodeTpmSignature(parseTpmSignature(bytes))],
  ['pcr-selection', (bytes) => encodePcrSelections(parsePcrSelections(bytes))],
]);

const seeds = readdirSync(folder).flatMap((file) => {
  const text = readFileSync(new URL(file, folder));
  if (!text.includes('"bytes"')) return [];
  const { subject, bytes } = parseJson(text, withBytes, file);
  const roundTrip = roundTrips.get(subject);
  return roundTrip === undefined ? [] : [{ roundTrip, bytes: parseHex(bytes, file) }];
});

const mutation = fc.record({
  at: fc.nat(),
  value: fc.nat(255),
  kind: fc.constantFrom('set', 'insert', 'remove', 'cut'),
});

function mutate(bytes: Uint8Array, { at, value, kind }: { at: number; value: number; kind: string }): Uint8Array {
  const list = [...bytes];
  const place = list.length === 0 ? 0 : at % list.length;
  if (kind === 'set') list[place] = value;
  if (kind === 'insert') list.splice(place, 0, value);
  if (kind === 'remove') list.splice(place, 1);
  if (kind === 'cut') list.length = place;
  return Uint8Array.from(list);
}

// SECURITY.md: HUB-60
test('a mutated structure is refused with an error of ours, or read without loss', () => {
  assert.ok(seeds.length > 0);
  const mutated = fc.tuple(fc.constantFrom(...seeds), fc.array(mutation, { minLength: 1, maxLength: 4 }));
  fc.assert(
    fc.property(mutated, ([{ roundTrip, bytes }, mutations]) => {
      const input = mutations.reduce(mutate, bytes);
      try {
        const again = toHex(roundTrip(input));
        assert.ok(toHex(input) === again || toHex(input.subarray(2)) === again);
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
      }
    }),
    { numRuns: inputs },
  );
});
