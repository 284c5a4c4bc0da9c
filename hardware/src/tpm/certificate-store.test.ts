import assert from 'node:assert/strict';
import { test } from 'node:test';
import { splitCertificates } from './certificate-store.ts';

const one = Uint8Array.of(0x30, 0x03, 1, 2, 3);
const two = Uint8Array.of(0x30, 0x81, 0x04, 4, 5, 6, 7);
const hex = (some: readonly Uint8Array[]) => some.map((each) => Buffer.from(each).toString('hex'));

test('certificates in NV end where the padding begins, whether it is 00 or ff, or where the memory ends', () => {
  for (const padding of [[], [0, 0, 0, 0, 0, 0], Array.from({ length: 700 }, () => 0xff)]) {
    const stored = Buffer.concat([one, two, Uint8Array.from(padding)]);
    assert.deepEqual(hex(splitCertificates(stored)), hex([one, two]));
  }
  assert.deepEqual(splitCertificates(new Uint8Array(0)), []);
  assert.deepEqual(splitCertificates(Uint8Array.of(0x30, 0x7f, 1, 2, 3)), []);
});

test('the header of a stored certificate from TPM 1.2 is no part of the certificate', () => {
  const stored = Buffer.concat([Uint8Array.of(0x10, 0x01, 0x00, 0, 5), one, new Uint8Array(10)]);
  assert.deepEqual(hex(splitCertificates(stored)), hex([one]));
  assert.deepEqual(splitCertificates(Uint8Array.of(0x10, 0x01, 0x00)), []);
});
