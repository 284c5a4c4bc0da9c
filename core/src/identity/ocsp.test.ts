import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseBase64, parseHex, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { signerFromKey } from '../signer.ts';
import { parseCertificate } from './certificate.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { issueCertificate } from './issue.ts';
import { encodeCertId, encodeOcspRequest, isIssuedBy, issuerHashesOf, parseOcspRequest } from './ocsp-request.ts';
import { encodeOcspFailure } from './ocsp-response.ts';
import { rootProfile } from './profile.ts';
import { encodeSpki } from './public-key.ts';

const folder = new URL('../../../spec/vectors/identity/ocsp/', import.meta.url);
const schema = z.strictObject({
  comment: z.string(),
  outcome: z.string(),
  request: z.string(),
  certificates: z.int().optional(),
  nonce: z.boolean().optional(),
});
const refused = (code: string) => (error: unknown) => error instanceof CoreError && error.code === code;

for (const name of readdirSync(folder)) {
  const vector = parseJson(readFileSync(new URL(name, folder)), schema, name);
  test(`OCSP request vector ${name}: ${vector.comment}`, () => {
    const der = parseBase64(vector.request, name);
    if (vector.outcome !== 'parses') {
      assert.throws(() => parseOcspRequest(der), refused(vector.outcome));
      return;
    }
    const request = parseOcspRequest(der);
    assert.equal(request.certificates.length, vector.certificates);
    assert.equal(request.nonce !== undefined, vector.nonce);
  });
}

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const spki = encodeSpki(publicKey);
const input = { spki, serialRandom: new Uint8Array(16), notBeforeSeconds: 0, notAfterSeconds: 4e9 };
const der = await issueCertificate(rootProfile(input, commonNameOnly('Issuing')), signerFromKey(privateKey));
const hashes = {
  sha1: issuerHashesOf(parseCertificate(der), 'sha1'),
  sha256: issuerHashesOf(parseCertificate(der), 'sha256'),
};

test('a request that was made parses into what it was made of', () => {
  const anyId = fc.tuple(fc.constantFrom<'sha1' | 'sha256'>('sha1', 'sha256'), fc.bigInt({ min: 1n, max: 2n ** 158n }));
  const anyNonce = fc.option(fc.uint8Array({ minLength: 1, maxLength: 128 }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(anyId, { minLength: 1, maxLength: 16 }), anyNonce, (ids, nonce) => {
      const certIds = ids.map(([hash, serial]) => {
        const digits = serial.toString(16);
        return encodeCertId(
          hash,
          hashes[hash],
          parseHex(digits.padStart(digits.length + (digits.length % 2), '0'), 's'),
        );
      });
      const request = parseOcspRequest(encodeOcspRequest(certIds, nonce));
      assert.deepEqual(request.nonce && toHex(request.nonce), nonce && toHex(nonce));
      assert.deepEqual(
        request.certificates.map((one) => toHex(one.der)),
        certIds.map(toHex),
      );
      assert.ok(request.certificates.every((one) => isIssuedBy(one, hashes)));
    }),
  );
});

test('an identifier with another issuer’s name or key is not ours', () => {
  const other = { nameHash: new Uint8Array(20), keyHash: new Uint8Array(20) };
  const serial = Uint8Array.of(1);
  const mixed = [
    encodeCertId('sha1', { ...hashes.sha1, keyHash: other.keyHash }, serial),
    encodeCertId('sha1', { ...hashes.sha1, nameHash: other.nameHash }, serial),
    encodeCertId('sha256', hashes.sha1, serial),
  ];
  const { certificates } = parseOcspRequest(encodeOcspRequest(mixed));
  assert.deepEqual(
    certificates.map((one) => isIssuedBy(one, hashes)),
    [false, false, false],
  );
});

test('a request with octets changed, cut or put in, or made of chance, throws only ocsp-invalid', () => {
  const valid = [...encodeOcspRequest([encodeCertId('sha1', hashes.sha1, Uint8Array.of(1))], new Uint8Array(32))];
  const edit = fc.record({ at: fc.nat(valid.length - 1), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) });
  const changed = edit.map(({ at, remove, insert }) => Uint8Array.from(valid.toSpliced(at, remove, ...insert)));
  fc.assert(
    fc.property(fc.oneof(changed, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      try {
        parseOcspRequest(bytes);
      } catch (error) {
        assert.ok(refused('ocsp-invalid')(error), String(error));
      }
    }),
    { numRuns: 3_000 },
  );
});

test('an answer that only says why there is none has the octets of RFC 6960 appendix B', () => {
  assert.equal(toHex(encodeOcspFailure('malformedRequest')), '30030a0101');
  assert.equal(toHex(encodeOcspFailure('internalError')), '30030a0102');
  assert.equal(toHex(encodeOcspFailure('tryLater')), '30030a0103');
});
