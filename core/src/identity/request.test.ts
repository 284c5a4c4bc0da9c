import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseBase64, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { signerFromKey } from '../signer.ts';
import { deviceUri } from './device-id.ts';
import { commonNameOnly, nameText } from './distinguished-name.ts';
import { subjectAltName } from './extensions.ts';
import { encodeSpki } from './public-key.ts';
import { CERTIFICATE_REQUEST_LENGTH_MAX, encodeCertificateRequest, parseCertificateRequest } from './request.ts';

const folder = new URL('../../../spec/vectors/identity/requests/', import.meta.url);
const schema = z.strictObject({ comment: z.string(), outcome: z.string(), request: z.string() });
const refused = (error: unknown) => error instanceof CoreError && error.code === 'certificate-request-invalid';

for (const name of readdirSync(folder)) {
  const vector = parseJson(readFileSync(new URL(name, folder)), schema, name);
  const der = parseBase64(vector.request, name);
  test(`certificate request vector ${name}: ${vector.comment}`, () => {
    if (vector.outcome === 'parses') assert.equal(nameText(parseCertificateRequest(der).subject), 'CN=pump-7');
    else assert.throws(() => parseCertificateRequest(der), refused);
  });
}

const pairs = {
  'P-256': generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  'P-384': generateKeyPairSync('ec', { namedCurve: 'P-384' }),
  Ed25519: generateKeyPairSync('ed25519'),
};
const extensions = [subjectAltName([{ kind: 'uri', text: deviceUri('pump-7') }])];

for (const [kind, { privateKey, publicKey }] of Object.entries(pairs)) {
  test(`a request for a ${kind} key parses to what went in`, async () => {
    const input = { subject: commonNameOnly('pump-7'), extensions };
    const request = parseCertificateRequest(await encodeCertificateRequest(input, signerFromKey(privateKey)));
    assert.equal(nameText(request.subject), 'CN=pump-7');
    assert.equal(toHex(request.spki), toHex(encodeSpki(publicKey)));
    assert.deepEqual(request.extensions.subjectAltName?.names, [{ kind: 'uri', text: 'urn:edgekeep:device:pump-7' }]);
  });
}

test('no byte of a request can change: parsing is the proof of possession', async () => {
  const input = { subject: commonNameOnly('pump-7'), extensions };
  const der = await encodeCertificateRequest(input, signerFromKey(pairs.Ed25519.privateKey));
  for (let at = 0; at < der.length; at++) {
    const changed = Uint8Array.from(der);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    assert.throws(() => parseCertificateRequest(changed), refused, `byte ${at}`);
  }
});

test('random and oversized bytes throw only certificate-request-invalid', () => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => assert.throws(() => parseCertificateRequest(bytes), refused)));
  assert.throws(() => parseCertificateRequest(new Uint8Array(CERTIFICATE_REQUEST_LENGTH_MAX + 1)), refused);
});
