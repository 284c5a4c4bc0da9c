// One certificate has one identity, however its signature is written; and the digests that were written down of it before are still found.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sha256Hex } from '../digest.ts';
import { type Certificate, parseForeignCertificate, publicKeyOf } from './certificate.ts';
import { otherForms } from './certificate-forms.ts';
import { certificateDigests, certificateIdentity } from './certificate-identity.ts';
import { encodePem } from './pem.ts';
import { verifySignature } from './signature-algorithm.ts';

/** Self-signed, by openssl. */
function made(...algorithm: readonly string[]): Certificate {
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-forms-'));
  try {
    const args = ['req', '-x509', '-nodes', '-days', '30', '-subj', '/CN=device', '-outform', 'DER'];
    const files = ['-keyout', join(folder, 'key.pem'), '-out', '-'];
    return parseForeignCertificate(execFileSync('openssl', [...args, ...algorithm, ...files], { stdio: 'pipe' }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
const curve = (name: string) => ['-newkey', 'ec', '-pkeyopt', `ec_paramgen_curve:${name}`];
const verifies = (certificate: Certificate) =>
  verifySignature(certificate.signatureScheme, publicKeyOf(certificate), certificate.tbs, certificate.signature);
const otherOf = (certificate: Certificate) =>
  otherForms(certificate)
    .map((der) => parseForeignCertificate(der))
    .filter(verifies);

// SECURITY.md: DEV-54
test('an ECDSA certificate with n - s verifies, has another SHA-256, and the same identity', () => {
  for (const name of ['P-256', 'P-384', 'P-521']) {
    const certificate = made(...curve(name));
    const [other, ...more] = otherOf(certificate);
    assert.ok(other !== undefined && more.length === 0, name);
    assert.notEqual(sha256Hex(other.der), sha256Hex(certificate.der), name);
    assert.equal(certificateIdentity(other), certificateIdentity(certificate), name);
    assert.deepEqual(Buffer.from(otherOf(other)[0]?.der ?? []), Buffer.from(certificate.der), name);
  }
});

// SECURITY.md: DEV-54
test('both forms have the former digest of each in common, and the identity comes first', () => {
  const certificate = made(...curve('P-256'));
  const [other] = otherOf(certificate);
  assert.ok(other !== undefined);
  for (const form of [certificate, other]) {
    const digests = certificateDigests(form);
    assert.equal(digests[0], sha256Hex(certificate.tbs));
    for (const der of [certificate.der, other.der]) assert.ok(digests.includes(sha256Hex(der)));
  }
});

test('openssl verifies the other form too, so no reader of certificates tells them apart', () => {
  const [other] = otherOf(made(...curve('P-256')));
  assert.ok(other !== undefined);
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-forms-'));
  try {
    const file = join(folder, 'other.pem');
    writeFileSync(file, encodePem('CERTIFICATE', other.der));
    const said = execFileSync('openssl', ['verify', '-check_ss_sig', '-CAfile', file, file], { encoding: 'utf8' });
    assert.match(said, /: OK/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a signature by RSA or Ed25519 has one form', () => {
  for (const algorithm of [
    ['-newkey', 'rsa:2048'],
    ['-newkey', 'ed25519'],
  ]) {
    const certificate = made(...algorithm);
    assert.deepEqual(otherForms(certificate), []);
    assert.deepEqual(certificateDigests(certificate), [sha256Hex(certificate.tbs), sha256Hex(certificate.der)]);
  }
});

test('a certificate whose signature is no pair of numbers has its own digests only', () => {
  const certificate = { ...made(...curve('P-256')), signature: Uint8Array.of(1, 2, 3) };
  assert.deepEqual(otherForms(certificate), []);
});
