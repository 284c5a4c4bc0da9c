import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CoreError } from '../error.ts';
import { parseAttest } from './attest.ts';
import { encodeAttest, parsePcrSelections } from './testing-attest.ts';
import { parseResponse } from './command.ts';
import { getRandom } from './commands/lifecycle.ts';
import { makeCredential } from './credential.ts';
import { makeImportBlob } from './import-blob.ts';
import { encodePcrSelections } from './pcr-selection.ts';
import { emptyPolicy, policyOr, policySecret } from './policy.ts';
import { encodePublic, encodeSizedPublic, parsePublic, publicKeyOf, tpmName } from './public-area.ts';
import { encodeTpmSignature, parseTpmSignature, type TpmSignature, verifyTpmSignature } from './signature.ts';
import { attestationKeyTemplate, endorsementTemplate } from './template.ts';

/** fast-check's records have no prototype unless told otherwise, and ours have one. */
const record = <T>(model: { readonly [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record<T>(model, { noNullPrototype: true });
const bytesOf = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });
const hash = fc.constantFrom('sha256', 'sha384', 'sha512');
const selections = fc
  .uniqueArray(fc.constantFrom('sha1', 'sha256', 'sha384', 'sha512'), { maxLength: 4 })
  .chain((banks) => fc.tuple(...banks.map((bank) => pcrs.map((list) => ({ bank, pcrs: list })))));
const pcrs = fc
  .uniqueArray(fc.integer({ min: 0, max: 23 }), { maxLength: 24 })
  .map((list) => list.sort((a, b) => a - b));
const name = bytesOf(32).map((digest) => Uint8Array.of(0, 11, ...digest));
const clockInfo = record({
  clock: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  resetCount: fc.nat(0xffffffff),
  restartCount: fc.nat(0xffffffff),
  safe: fc.boolean(),
});

function withCode(code: string) {
  return (error: unknown) => error instanceof CoreError && error.code === code;
}

test('a quote that was encoded parses to itself', () => {
  const quote = record({
    kind: fc.constant('quote' as const),
    qualifiedSigner: name,
    extraData: bytesOf(0, 64),
    clockInfo,
    firmwareVersion: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    selections,
    pcrDigest: bytesOf(32),
  });
  fc.assert(fc.property(quote, (value) => assert.deepEqual(parseAttest(encodeAttest(value)), value)));
});

test('an ECC public area that was encoded parses to itself, with and without its length', () => {
  const area = record({
    kind: fc.constant('ecc' as const),
    nameAlgorithm: fc.constant('sha256' as const),
    attributes: fc.constantFrom(0x50472, 0x300b2),
    authPolicy: fc.oneof(bytesOf(0), bytesOf(32)),
    symmetric: fc.constantFrom(null, { keyBits: 128 as const }),
    scheme: fc.option(record({ kind: fc.constantFrom('ecdsa' as const, 'ecdh' as const), hash })),
    curve: fc.constant('p256' as const),
    x: bytesOf(20, 32),
    y: bytesOf(20, 32),
  });
  fc.assert(
    fc.property(area, (value) => {
      assert.deepEqual(parsePublic(encodePublic(value)), value);
      assert.deepEqual(parsePublic(encodeSizedPublic(value)), value);
    }),
  );
});

test('PCR selections and signatures that were encoded parse to themselves', () => {
  fc.assert(
    fc.property(selections, (value) => assert.deepEqual(parsePcrSelections(encodePcrSelections(value)), value)),
  );
  const ecdsa = record({ kind: fc.constant('ecdsa' as const), hash, r: bytesOf(1, 66), s: bytesOf(1, 66) });
  fc.assert(fc.property(ecdsa, (value) => assert.deepEqual(parseTpmSignature(encodeTpmSignature(value)), value)));
});

test('random bytes are refused with an error of ours, by every reader', () => {
  const command = getRandom(32);
  const readers = [
    parsePublic,
    parseAttest,
    parseTpmSignature,
    parsePcrSelections,
    (input: Uint8Array) => parseResponse(input, command, 1),
  ];
  for (const read of readers) {
    fc.assert(
      fc.property(bytesOf(0, 200), (input) => {
        try {
          read(input);
        } catch (error) {
          assert.ok(error instanceof CoreError, String(error));
        }
      }),
    );
  }
});

test('ECDSA and RSA signatures verify; with another key, message or kind of key they do not', () => {
  const message = randomBytes(100);
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const raw = sign('sha256', message, { key: ec.privateKey, dsaEncoding: 'ieee-p1363' });
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const cases: readonly { readonly signature: TpmSignature; readonly pair: typeof ec }[] = [
    { signature: { kind: 'ecdsa', hash: 'sha256', r: raw.subarray(0, 32), s: raw.subarray(32) }, pair: ec },
    { signature: { kind: 'rsassa', hash: 'sha256', signature: sign('sha256', message, rsa.privateKey) }, pair: rsa },
    {
      signature: {
        kind: 'rsapss',
        hash: 'sha256',
        signature: sign('sha256', message, { key: rsa.privateKey, padding }),
      },
      pair: rsa,
    },
  ];
  for (const { signature, pair } of cases) {
    assert.ok(verifyTpmSignature(signature, message, pair.publicKey), signature.kind);
    assert.ok(!verifyTpmSignature(signature, randomBytes(100), pair.publicKey), signature.kind);
    for (const wrong of [other, pair === ec ? rsa : ec]) {
      assert.ok(!verifyTpmSignature(signature, message, wrong.publicKey), signature.kind);
    }
    assert.ok(!verifyTpmSignature({ ...signature, hash: 'sha384' }, message, pair.publicKey), signature.kind);
  }
});

test('an ECDSA signature whose r has no leading zero byte verifies', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  for (let attempt = 0; ; attempt += 1) {
    const message = Buffer.from(`message ${attempt}`);
    const raw = sign('sha256', message, { key: privateKey, dsaEncoding: 'ieee-p1363' });
    if (raw[0] !== 0) continue;
    const signature: TpmSignature = { kind: 'ecdsa', hash: 'sha256', r: raw.subarray(1, 32), s: raw.subarray(32) };
    assert.ok(verifyTpmSignature(signature, message, publicKey));
    return;
  }
});

test('a SHA-1 signature is not accepted, however correct', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const message = randomBytes(10);
  const signature = sign('sha1', message, privateKey);
  assert.ok(!verifyTpmSignature({ kind: 'rsassa', hash: 'sha1', signature }, message, publicKey));
});

test('a template has no public key, and a point off its curve is refused', () => {
  assert.throws(() => publicKeyOf(attestationKeyTemplate), withCode('tpm-structure-invalid'));
  const off = { ...attestationKeyTemplate, x: new Uint8Array(32).fill(1), y: new Uint8Array(32).fill(1) };
  assert.throws(() => publicKeyOf(off), withCode('tpm-structure-invalid'));
});

test('PCRs out of order, twice, or beyond 23 cannot be encoded', () => {
  for (const pcrs of [[1, 0], [1, 1], [24], [-1], [0.5]]) {
    assert.throws(() => encodePcrSelections([{ bank: 'sha256', pcrs }]), withCode('tpm-structure-invalid'));
  }
});

test('a credential is made for storage keys only, with a secret that fits', () => {
  const { template } = endorsementTemplate('rsa-2048');
  assert.ok(template.kind === 'rsa');
  const endorsementPublic = { ...template, modulus: new Uint8Array(256).fill(0xff) };
  const request = { endorsementPublic, name: tpmName(attestationKeyTemplate), secret: randomBytes(32), randomBytes };
  assert.doesNotThrow(() => makeCredential(request));

  assert.throws(() => makeCredential({ ...request, secret: randomBytes(33) }), withCode('tpm-credential-invalid'));
  assert.throws(() => makeCredential({ ...request, secret: new Uint8Array(0) }), withCode('tpm-credential-invalid'));
  assert.throws(() => makeCredential({ ...request, name: randomBytes(5) }), CoreError);
  const signing = { ...request, endorsementPublic: attestationKeyTemplate };
  assert.throws(() => makeCredential(signing), withCode('tpm-structure-invalid'));
});

test('an import blob needs a policy that constrains something and a parent that is a storage key on its curve', () => {
  const { template } = endorsementTemplate('p-256');
  assert.ok(template.kind === 'ecc');
  const request = { parentPublic: template, secret: randomBytes(32), policyDigest: randomBytes(32), randomBytes };
  assert.throws(() => makeImportBlob({ ...request, policyDigest: emptyPolicy() }), withCode('tpm-policy-invalid'));
  assert.throws(() => makeImportBlob({ ...request, policyDigest: new Uint8Array(0) }), withCode('tpm-policy-invalid'));
  assert.throws(() => makeImportBlob({ ...request, secret: new Uint8Array(129) }), withCode('tpm-structure-invalid'));
  assert.throws(() => makeImportBlob(request), withCode('tpm-structure-invalid'));
  const off = { ...template, x: new Uint8Array(32).fill(1), y: new Uint8Array(32).fill(1) };
  assert.throws(() => makeImportBlob({ ...request, parentPublic: off }), withCode('tpm-structure-invalid'));
});

test('a policy step on a digest of another length is refused, and PolicyOR takes two to eight branches', () => {
  assert.throws(() => policySecret(new Uint8Array(20), new Uint8Array(4)), withCode('tpm-policy-invalid'));
  const branch = randomBytes(32);
  assert.throws(() => policyOr([branch]), withCode('tpm-policy-invalid'));
  assert.throws(() => policyOr(Array.from({ length: 9 }, () => branch)), withCode('tpm-policy-invalid'));
});

test('the low-range endorsement templates carry PolicySecret of the endorsement hierarchy', () => {
  const policy = policySecret(emptyPolicy(), Uint8Array.of(0x40, 0, 0, 0x0b));
  for (const kind of ['rsa-2048', 'p-256'] as const) {
    assert.deepEqual(Buffer.from(endorsementTemplate(kind).template.authPolicy), Buffer.from(policy));
  }
});

test('the P-384 template carries PolicyOR over its branches, of which the first is PolicySecret of the endorsement hierarchy', () => {
  const { template, policyBranches } = endorsementTemplate('p-384');
  const secret = policySecret(emptyPolicy('sha384'), Uint8Array.of(0x40, 0, 0, 0x0b), new Uint8Array(0), 'sha384');
  assert.deepEqual(Buffer.from(policyBranches[0] ?? []), Buffer.from(secret));
  assert.deepEqual(Buffer.from(template.authPolicy), Buffer.from(policyOr(policyBranches, 'sha384')));
});
