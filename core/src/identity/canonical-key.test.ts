import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { contextTag, derBitString, derInteger, derNull, derOid, derSequence, derValue } from '../der.ts';
import { parseForeignCertificate, publicKeyOf } from './certificate.ts';
import { commonNameOnly } from './distinguished-name.ts';
import { issueCertificate } from './issue.ts';
import { signerFromKey } from '../signer.ts';
import { algorithmOid, keyOid } from './oid.ts';
import { encodePem } from './pem.ts';
import { rootProfile } from './profile.ts';
import {
  canonicalKey,
  canonicalSpki,
  encodePublicKeyPem,
  encodeSpki,
  parsePublicKeyPem,
  parseSpki,
} from './public-key.ts';
import { parseCertificateRequest } from './request.ts';
import { encodeSignatureAlgorithm } from './signature-algorithm.ts';
import { type KeyForms, p256Forms, rsaForms } from './testing-key-forms.ts';

const named: Readonly<Record<string, RegExp>> = {
  compressed: /an EC key with a compressed point/,
  hybrid: /an EC key with a hybrid point/,
  explicit: /explicit curve parameters/,
  'without NULL': /without the NULL of its parameters/,
  'RSAES-OAEP': /marked RSAES-OAEP/,
  'RSASSA-PSS': /marked RSASSA-PSS/,
};

for (const [kind, forms] of [['P-256', p256Forms()] as const, ['RSA', rsaForms()] as const]) {
  test(`a canonical ${kind} key is read, and encoded again is the same`, () => {
    assert.deepEqual(Buffer.from(encodeSpki(parseSpki(forms.canonical))), Buffer.from(forms.canonical));
  });
  for (const [form, spki] of Object.entries(forms.others)) {
    test(`a ${kind} key in the form "${form}" is refused by that name, in DER, in PEM and in a request`, () => {
      const refused = { code: 'key-invalid', message: named[form] ?? /never/ };
      assert.throws(() => parseSpki(spki), refused);
      assert.throws(() => parsePublicKeyPem(encodePem('PUBLIC KEY', spki)), refused);
      if (kind === 'P-256')
        assert.throws(() => parseCertificateRequest(requestFor(spki, forms)), {
          code: 'certificate-request-invalid',
          message: named[form] ?? /never/,
        });
    });
    if (form === 'explicit') continue;
    test(`a ${kind} key in the form "${form}" has the canonical form of the same key`, () => {
      assert.deepEqual(Buffer.from(canonicalSpki(spki)), Buffer.from(forms.canonical));
    });
  }
}

function requestFor(spki: Uint8Array, { privateKey }: KeyForms): Uint8Array {
  const info = derSequence(derInteger(0), commonNameOnly('pump-7').der, spki, derValue(contextTag(0, true)));
  const signature = sign('sha256', info, privateKey);
  return derSequence(info, encodeSignatureAlgorithm('ecdsa-p256-sha256'), derBitString(signature));
}

test('a request with the canonical form of the same key is accepted', () => {
  const forms = p256Forms();
  const { spki } = parseCertificateRequest(requestFor(forms.canonical, forms));
  assert.deepEqual(Buffer.from(spki), Buffer.from(forms.canonical));
});

test('a key that is imported in any form is exported in its canonical one', () => {
  const { others, canonical, publicKey } = p256Forms();
  for (const form of ['compressed', 'hybrid']) {
    const imported = createPublicKey({ key: Buffer.from(others[form] ?? []), format: 'der', type: 'spki' });
    assert.deepEqual(Buffer.from(encodeSpki(imported)), Buffer.from(canonical));
    assert.equal(encodePublicKeyPem(imported), publicKey.export({ format: 'pem', type: 'spki' }));
    assert.deepEqual(canonicalKey(imported).export({ format: 'der', type: 'spki' }), Buffer.from(canonical));
  }
});

async function certificateFor(spki: Uint8Array, { privateKey }: KeyForms) {
  const input = { spki, serialRandom: new Uint8Array(16), notBeforeSeconds: 0, notAfterSeconds: 2_000_000_000 };
  return issueCertificate(rootProfile(input, commonNameOnly('maker')), signerFromKey(privateKey));
}

test('a certificate of others for a compressed or hybrid point counts by the canonical form; one with curve parameters is refused when its key is used', async () => {
  const forms = p256Forms();
  for (const form of ['compressed', 'hybrid']) {
    const certificate = parseForeignCertificate(await certificateFor(forms.others[form] ?? new Uint8Array(0), forms));
    assert.deepEqual(Buffer.from(certificate.spki), Buffer.from(forms.canonical));
    assert.ok(publicKeyOf(certificate).equals(forms.publicKey));
  }
  const explicit = parseForeignCertificate(await certificateFor(forms.others['explicit'] ?? new Uint8Array(0), forms));
  assert.throws(() => publicKeyOf(explicit), { code: 'key-invalid', message: /explicit curve parameters/ });
});

test('RSA keys with a weak exponent, and points off the curve or at infinity, are refused', () => {
  const { canonical } = p256Forms();
  const off = Uint8Array.from(canonical);
  off[off.length - 1] = (off.at(-1) ?? 0) ^ 1;
  assert.throws(() => parseSpki(off), { code: 'key-invalid' });
  const infinity = derSequence(canonical.subarray(2, 23), derBitString(Uint8Array.of(0)));
  assert.throws(() => parseSpki(infinity), { code: 'key-invalid', message: /without a point/ });
  const rsa = rsaForms().canonical;
  // The exponent 65537 is the last value: 02 03 01 00 01.
  for (const [from, to] of [
    ['0203010001', '0203010000'],
    ['0203010001', '0203ffffff'],
  ] as const) {
    const weak = Buffer.from(Buffer.from(rsa).toString('hex').replace(from, to), 'hex');
    assert.throws(() => parseSpki(weak), { code: 'key-invalid' });
  }
});

const ecKey = derOid(keyOid.ecPublicKey);
const point = p256Forms().canonical.subarray(-65);
const edPoint = generateKeyPairSync('ed25519').publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
const withoutCanonicalForm: Readonly<Record<string, { spki: Uint8Array; message: RegExp }>> = {
  'no curve': { spki: derSequence(derSequence(ecKey), derBitString(point)), message: /no curve parameters/ },
  'the curve of its issuer': {
    spki: derSequence(derSequence(ecKey, derNull()), derBitString(point)),
    message: /implicit curve parameters/,
  },
  'parameters of Ed25519': {
    spki: derSequence(derSequence(derOid(algorithmOid.ed25519), derNull()), derBitString(edPoint)),
    message: /an Ed25519 key with parameters/,
  },
};
for (const [form, { spki, message }] of Object.entries(withoutCanonicalForm)) {
  test(`a key with ${form} is refused by that name, also by a reader of what others wrote`, () => {
    assert.throws(() => parseSpki(spki), { code: 'key-invalid', message });
    assert.throws(() => canonicalSpki(spki), { code: 'key-invalid', message });
  });
}
