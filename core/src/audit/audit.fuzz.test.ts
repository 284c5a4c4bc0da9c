// Mutated vectors: for any bytes, every reader returns a value or throws CoreError, and no mutation of a signed document is accepted.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { verifyLongReceipt } from '../access/long-receipt.ts';
import { verifyReceipt } from '../access/receipt.ts';
import { parseTlogPolicy } from './tlog-policy.ts';
import { testLogKey, testTrust } from '../access/testing-receipt.ts';
import { parseTrust } from '../access/trust.ts';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseAddCheckpoint } from './add-checkpoint.ts';
import { openCheckpoint } from './checkpoint.ts';
import { parseAuditEntry } from './entry.ts';
import { parseForkProof, verifyForkProof } from './fork-proof.ts';
import { parseNote, parseVerifierKey } from './note.ts';
import { parseTlogProof } from './proof.ts';
import { parseEntryBundle, parseTilePath } from './tile.ts';

const inputs = Number(process.env['EDGEKEEP_FUZZ_INPUTS'] ?? 8000);
const folder = join(import.meta.dirname, '../../../spec/vectors/audit');
const key = testLogKey;
const texts = [
  'note',
  'checkpoint',
  'proof',
  'request',
  'forkProof',
  'entry',
  'receipt',
  'longReceipt',
  'policy',
  'path',
  'vkey',
];
const seeds = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.json'))
  .flatMap((path) => {
    const vector = z.record(z.string(), z.unknown()).parse(JSON.parse(readFileSync(join(folder, path), 'utf8')));
    return texts.flatMap((name) => (typeof vector[name] === 'string' ? [utf8(vector[name])] : []));
  });

const readers: readonly ((bytes: Uint8Array) => unknown)[] = [
  parseNote,
  (bytes) => openCheckpoint(bytes, key),
  parseTlogProof,
  parseAddCheckpoint,
  (bytes) => verifyForkProof(parseForkProof(bytes), key),
  parseAuditEntry,
  (bytes) => verifyReceipt(bytes, testTrust(2)),
  parseTrust,
  (bytes) => verifyLongReceipt(bytes, testTrust(2)),
  (bytes) => parseTlogPolicy(bytes),
  (bytes) => parseEntryBundle(bytes, 256),
  (bytes) => parseTilePath(Buffer.from(bytes).toString('latin1')),
  (bytes) => parseVerifierKey(Buffer.from(bytes).toString('utf8')),
];

const edit = fc.record({
  at: fc.nat(20_000),
  kind: fc.constantFrom('flip', 'cut', 'copy', 'drop'),
  value: fc.nat(255),
});
const mutated = fc
  .tuple(fc.constantFrom(...seeds), fc.array(edit, { minLength: 1, maxLength: 4 }))
  .map(([seed, edits]) => edits.reduce(apply, seed));

test('every reader answers mutated and random bytes, or throws CoreError', () => {
  const anyBytes = fc.oneof(
    { weight: 5, arbitrary: mutated },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) },
  );
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      for (const read of readers) {
        try {
          read(bytes);
        } catch (error) {
          assert.ok(error instanceof CoreError, `${read.name}: ${String(error)}`);
        }
      }
    }),
    { numRuns: Math.ceil(inputs / readers.length) },
  );
});

function apply(bytes: Uint8Array, { at, kind, value }: { at: number; kind: string; value: number }): Uint8Array {
  const place = bytes.length === 0 ? 0 : at % bytes.length;
  const head = bytes.subarray(0, place);
  if (kind === 'cut') return head;
  if (kind === 'drop') return Buffer.concat([head, bytes.subarray(place + 1 + (value % 40))]);
  if (kind === 'copy') return Buffer.concat([bytes, bytes.subarray(place)]);
  return Buffer.concat([head, Buffer.of(value), bytes.subarray(place + 1)]);
}
