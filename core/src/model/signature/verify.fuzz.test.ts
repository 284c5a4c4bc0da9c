// Byte changes of every valid vector, and random bytes: the result is the same verdict, a refusal, or a CoreError.
import { deepEqual, equal } from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { utf8 } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { parsePem } from '../../identity/pem.ts';
import { parseJson } from '../../json.ts';
import { type SignatureTrust, verifyBundle } from './verify.ts';

const folder = new URL('../../../../spec/vectors/model/signature/valid/', import.meta.url);
const inputs = Number(process.env['EDGEKEEP_FUZZ_INPUTS'] ?? 5000);

const vectorSchema = z.object({
  bundle: z.string(),
  trust: z.object({
    publicKeys: z.array(z.string()).optional(),
    roots: z.array(z.string()).default([]),
    atSeconds: z.int().default(0),
  }),
});

const vectors = readdirSync(folder).map((name) => {
  const { bundle, trust } = parseJson(readFileSync(new URL(name, folder)), vectorSchema, name);
  const { publicKeys, roots, atSeconds } = trust;
  const anchors = roots.flatMap((pem) => parsePem(pem, 'CERTIFICATE')).map(parseCertificate);
  const trusted: SignatureTrust =
    publicKeys === undefined
      ? { kind: 'certificates', anchors, atSeconds }
      : { kind: 'keys', keys: publicKeys.map((pem) => createPublicKey(pem)) };
  return { bytes: utf8(bundle), trust: trusted, verdict: verifyBundle(utf8(bundle), trusted) };
});

function verdictOrCode(bytes: Uint8Array, trust: SignatureTrust) {
  try {
    return verifyBundle(bytes, trust);
  } catch (error) {
    if (error instanceof CoreError) return error.code;
    throw error;
  }
}

test('a bundle with one byte changed says the same or does not verify', () => {
  const property = fc.property(
    fc.constantFrom(...vectors),
    fc.nat(),
    fc.integer({ min: 1, max: 255 }),
    (vector, at, mask) => {
      const changed = Uint8Array.from(vector.bytes);
      const index = at % changed.length;
      changed[index] = (changed[index] ?? 0) ^ mask;
      const verdict = verdictOrCode(changed, vector.trust);
      if (typeof verdict !== 'string' && verdict.kind === 'verified') deepEqual(verdict, vector.verdict);
    },
  );
  fc.assert(property, { numRuns: inputs });
});

test('a bundle cut short is broken', () => {
  const property = fc.property(fc.constantFrom(...vectors), fc.nat(), ({ bytes, trust }, length) => {
    equal(typeof verdictOrCode(bytes.subarray(0, length % (bytes.length - 2)), trust), 'string');
  });
  fc.assert(property, { numRuns: Math.ceil(inputs / 10) });
});

test('random bytes and random JSON are no bundle', () => {
  const bytes = fc.oneof(fc.uint8Array(), fc.json().map(utf8));
  const property = fc.property(fc.constantFrom(...vectors), bytes, ({ trust }, random) => {
    equal(typeof verdictOrCode(random, trust), 'string');
  });
  fc.assert(property, { numRuns: Math.ceil(inputs / 10) });
});
