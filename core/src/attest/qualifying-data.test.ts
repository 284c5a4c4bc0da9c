import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { toHex } from '../bytes.ts';
import { qualifyingData } from './qualifying-data.ts';

const nonce = new Uint8Array(32).fill(7);
const exporter = new Uint8Array(32).fill(9);
const none = new Uint8Array();

test('qualifying data is SHA-256 over purpose, a zero byte, nonce and what is bound', () => {
  const written = createHash('sha256').update('edgekeep-release-v1\0').update(nonce).update(exporter).digest();
  assert.deepEqual(qualifyingData('release', nonce, exporter), written);
});

// SECURITY.md: DEV-47
test('no two purposes give the same qualifying data', () => {
  const zeros = new Uint8Array(32);
  const all = [
    qualifyingData('certify', zeros, exporter),
    qualifyingData('enroll', zeros, exporter),
    qualifyingData('renew', zeros, exporter),
    qualifyingData('recover', zeros, exporter),
    qualifyingData('release', zeros, exporter),
    qualifyingData('bind', zeros, exporter),
    qualifyingData('local', zeros, none),
  ];
  assert.equal(new Set(all.map(toHex)).size, all.length);
});

test('a length or nonce its purpose does not allow is refused', () => {
  assert.throws(() => qualifyingData('release', new Uint8Array(31), exporter), { code: 'evidence-invalid' });
  assert.throws(() => qualifyingData('release', nonce, new Uint8Array(31)), { code: 'evidence-invalid' });
  assert.throws(() => qualifyingData('bind', nonce, exporter), { code: 'evidence-invalid' });
  assert.throws(() => qualifyingData('local', nonce, exporter), { code: 'evidence-invalid' });
  assert.throws(() => qualifyingData('certify', nonce, none), { code: 'evidence-invalid' });
  for (const purpose of ['enroll', 'renew', 'recover'] as const)
    assert.throws(() => qualifyingData(purpose, nonce, new Uint8Array(91)), { code: 'evidence-invalid' });
});
