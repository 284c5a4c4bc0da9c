// Runs every file of spec/vectors/tpm, from any source.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { leaseTermsSchema, policyLeaseTerms } from '../access/lease-terms.ts';
import { parseHex, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { parseAttest } from './attest.ts';
import { encodeAttest, parsePcrSelections } from './testing-attest.ts';
import { makeCredential } from './credential.ts';
import { makeImportBlob } from './import-blob.ts';
import { encodePcrSelections } from './pcr-selection.ts';
import {
  comparisons,
  emptyPolicy,
  policyAuthorize,
  policyAuthValue,
  policyCommandCode,
  policyCounterTimer,
  policyNv,
  policyOr,
  policyPcr,
  policySecret,
  policySigned,
} from './policy.ts';
import { encodePublic, parsePublic, primaryQualifiedName, publicKeyOf, tpmName } from './public-area.ts';
import { encodeTpmSignature, parseTpmSignature, verifyTpmSignature } from './signature.ts';

const folder = new URL('../../../spec/vectors/tpm/', import.meta.url);
const hex = z.string().transform((text) => parseHex(text, 'vector'));
const comment = z.string().min(1);
const operation = z.enum([
  'equal',
  'notEqual',
  'unsignedGreater',
  'unsignedLess',
  'unsignedGreaterOrEqual',
  'unsignedLessOrEqual',
]);
const term = { operand: hex, offset: z.number(), operation };
const bank = z.enum(['sha1', 'sha256', 'sha384', 'sha512']);

const step = z.discriminatedUnion('step', [
  z.strictObject({ step: z.literal('pcr'), bank, pcrs: z.array(z.number()), pcrDigest: hex }),
  z.strictObject({ step: z.literal('secret'), name: hex, policyRef: hex }),
  z.strictObject({ step: z.literal('signed'), name: hex, policyRef: hex }),
  z.strictObject({ step: z.literal('authorize'), name: hex, policyRef: hex }),
  z.strictObject({ step: z.literal('auth-value') }),
  z.strictObject({ step: z.literal('nv'), name: hex, ...term }),
  z.strictObject({ step: z.literal('counter-timer'), ...term }),
  z.strictObject({ step: z.literal('or'), branches: z.array(hex) }),
  z.strictObject({ step: z.literal('command-code'), commandCode: z.number() }),
]);

const validVector = z.discriminatedUnion('subject', [
  z.strictObject({
    subject: z.literal('public-area'),
    comment,
    bytes: hex,
    kind: z.string(),
    name: z.string(),
    qualifiedName: z.string(),
  }),
  z.strictObject({
    subject: z.literal('attest'),
    comment,
    bytes: hex,
    kind: z.string(),
    extraData: z.string(),
    resetCount: z.number(),
    signature: hex,
    key: hex,
  }),
  z.strictObject({
    subject: z.literal('pcr-selection'),
    comment,
    bytes: hex,
    selections: z.array(z.strictObject({ bank, pcrs: z.array(z.number()) })),
  }),
  z.strictObject({
    subject: z.literal('credential'),
    comment,
    endorsementPublic: hex,
    name: hex,
    secret: hex,
    random: hex,
    credentialBlob: z.string(),
    encryptedSecret: z.string(),
  }),
  z.strictObject({
    subject: z.literal('import-blob'),
    comment,
    parentPublic: hex,
    secret: hex,
    policyDigest: hex,
    random: hex,
    publicArea: z.string(),
    duplicate: z.string(),
    encryptedSeed: z.string(),
  }),
  z.strictObject({ subject: z.literal('policy'), comment, steps: z.array(step), digest: z.string() }),
  z.strictObject({
    subject: z.literal('lease-terms'),
    comment,
    terms: leaseTermsSchema,
    steps: z.array(step),
    digest: z.string(),
  }),
]);

const readers = {
  'public-area': parsePublic,
  attest: parseAttest,
  signature: parseTpmSignature,
  'pcr-selection': parsePcrSelections,
};
const error = z.string();
const invalidVector = z.discriminatedUnion('subject', [
  z.strictObject({
    subject: z.enum(['public-area', 'attest', 'signature', 'pcr-selection']),
    comment,
    bytes: hex,
    error,
  }),
  z.strictObject({ subject: z.literal('lease-terms'), comment, terms: z.unknown(), error }),
]);

for (const file of readdirSync(folder)) {
  const bytes = readFileSync(new URL(file, folder));
  if (file.startsWith('invalid-')) {
    const vector = parseJson(bytes, invalidVector, file);
    test(`${file} is refused with ${vector.error}`, () => {
      assert.throws(
        () => readInvalid(vector),
        (thrown) => thrown instanceof CoreError && thrown.code === vector.error,
      );
    });
  } else {
    const vector = parseJson(bytes, validVector, file);
    test(`${file} gives what it says`, () => checkValid(vector));
  }
}

function readInvalid(vector: z.infer<typeof invalidVector>): void {
  if (vector.subject !== 'lease-terms') readers[vector.subject](vector.bytes);
  else parseJson(utf8(JSON.stringify(vector.terms)), leaseTermsSchema, 'lease terms');
}

function checkValid(vector: z.infer<typeof validVector>): void {
  switch (vector.subject) {
    case 'public-area': {
      const publicArea = parsePublic(vector.bytes);
      assert.equal(publicArea.kind, vector.kind);
      assert.equal(toHex(tpmName(publicArea)), vector.name);
      assert.equal(toHex(primaryQualifiedName('endorsement', tpmName(publicArea))), vector.qualifiedName);
      assert.ok(toHex(vector.bytes).endsWith(toHex(encodePublic(publicArea))));
      return;
    }
    case 'attest': {
      const attest = parseAttest(vector.bytes);
      assert.equal(attest.kind, vector.kind);
      assert.equal(toHex(attest.extraData), vector.extraData);
      assert.equal(attest.clockInfo.resetCount, vector.resetCount);
      assert.equal(toHex(encodeAttest(attest)), toHex(vector.bytes));
      const signature = parseTpmSignature(vector.signature);
      assert.equal(toHex(encodeTpmSignature(signature)), toHex(vector.signature));
      assert.ok(verifyTpmSignature(signature, vector.bytes, publicKeyOf(parsePublic(vector.key))));
      return;
    }
    case 'pcr-selection':
      assert.deepEqual(parsePcrSelections(vector.bytes), vector.selections);
      assert.equal(toHex(encodePcrSelections(vector.selections)), toHex(vector.bytes));
      return;
    case 'credential': {
      const { name, secret } = vector;
      const endorsementPublic = parsePublic(vector.endorsementPublic);
      const made = makeCredential({ endorsementPublic, name, secret, randomBytes: streamOf(vector.random) });
      assert.equal(toHex(made.credentialBlob), vector.credentialBlob);
      assert.equal(toHex(made.encryptedSecret), vector.encryptedSecret);
      return;
    }
    case 'import-blob': {
      const { secret, policyDigest } = vector;
      const parentPublic = parsePublic(vector.parentPublic);
      const made = makeImportBlob({ parentPublic, secret, policyDigest, randomBytes: streamOf(vector.random) });
      assert.equal(toHex(made.publicArea), vector.publicArea);
      assert.equal(toHex(made.duplicate), vector.duplicate);
      assert.equal(toHex(made.encryptedSeed), vector.encryptedSeed);
      return;
    }
    case 'lease-terms':
      assert.equal(toHex(policyLeaseTerms(emptyPolicy(), vector.terms)), vector.digest);
      assert.equal(toHex(vector.steps.reduce(takeStep, emptyPolicy())), vector.digest);
      return;
    case 'policy':
      assert.equal(toHex(vector.steps.reduce(takeStep, emptyPolicy())), vector.digest);
  }
}

function takeStep(policy: Uint8Array, taken: z.infer<typeof step>): Uint8Array {
  switch (taken.step) {
    case 'pcr':
      return policyPcr(policy, [taken], taken.pcrDigest);
    case 'secret':
      return policySecret(policy, taken.name, taken.policyRef);
    case 'signed':
      return policySigned(policy, taken.name, taken.policyRef);
    case 'authorize':
      return policyAuthorize(taken.name, taken.policyRef);
    case 'auth-value':
      return policyAuthValue(policy);
    case 'nv':
      return policyNv(policy, taken.name, taken);
    case 'counter-timer':
      return policyCounterTimer(policy, taken);
    case 'or':
      return policyOr(taken.branches);
    case 'command-code':
      return policyCommandCode(policy, taken.commandCode);
  }
}

/** Returns the vector's random bytes in the order of the requests. */
function streamOf(random: Uint8Array): (length: number) => Uint8Array {
  let offset = 0;
  return (length) => {
    offset += length;
    assert.ok(offset <= random.length, 'the vector has no more random bytes');
    return random.subarray(offset - length, offset);
  };
}

test('every comparison has a number of its own', () => {
  assert.equal(new Set(Object.values(comparisons)).size, Object.keys(comparisons).length);
});
