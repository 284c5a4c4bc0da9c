import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrappedKeySchema } from './wrapped-key.ts';

const imported = { kind: 'tpm-import', publicArea: 'AA', duplicate: 'AA', encryptedSeed: 'AA', pcrs: [0, 4, 7] };
const sealed = { kind: 'hpke', encapsulatedKey: 'AA', ciphertext: 'AA' };
const hybrid = { suite: 'MLKEM768-X25519', encapsulatedKey: 'AA', ciphertext: 'AA' };
const terms = { resetCount: 5, restartCount: 1, clockMost: '90061001', counterMost: '3' };
const authValue = `${'A'.repeat(42)}E`;
const approval = { publicArea: 'AA', policyRef: '', signature: 'AA' };

test('both kinds of wrapped key are read, with and without what is optional', () => {
  for (const wrapped of [
    { ...imported, type: 'edgekeep-wrapped-key/v3', hybrid },
    { ...sealed, type: 'edgekeep-wrapped-key/v3', hybrid },
    { ...sealed, type: 'edgekeep-wrapped-key/v2' },
    imported,
    { ...imported, parent: 'p-384', approval },
    { ...imported, authValue, terms },
    sealed,
  ]) {
    assert.deepEqual(wrappedKeySchema.parse(wrapped), wrapped);
  }
});

test('unknown fields and kinds, PCRs out of order, padding and oversized fields are refused', () => {
  const refused = [
    { ...imported, extra: 1 },
    { ...sealed, pcrs: [0] },
    { ...imported, kind: 'plain' },
    { ...imported, pcrs: [7, 0] },
    { ...imported, pcrs: [0, 0] },
    { ...imported, pcrs: [24] },
    { ...imported, duplicate: 'AA==' },
    { ...imported, duplicate: 'A'.repeat(2049) },
    { ...imported, parent: 'rsa-1024' },
    { ...imported, approval: { ...approval, extra: 1 } },
    { ...imported, terms: { ...terms, extra: 1 } },
    { ...imported, terms: { ...terms, clockMost: '1e9' } },
    { ...imported, authValue: '' },
    { ...imported, authValue: 'A'.repeat(44) },
    // The last character has unused bits.
    { ...imported, authValue: `${'A'.repeat(42)}B` },
    { ...sealed, terms },
    // The second layer is of one type, and that type has it.
    { ...sealed, hybrid },
    { ...sealed, type: 'edgekeep-wrapped-key/v2', hybrid },
    { ...imported, type: 'edgekeep-wrapped-key/v3' },
    { ...sealed, type: 'edgekeep-wrapped-key/v3', hybrid: { ...hybrid, suite: 'MLKEM768-P256' } },
    { ...sealed, type: 'edgekeep-wrapped-key/v3', hybrid: { ...hybrid, extra: 1 } },
    { ...sealed, type: 'edgekeep-wrapped-key/v4', hybrid },
  ];
  for (const wrapped of refused)
    assert.equal(wrappedKeySchema.safeParse(wrapped).success, false, JSON.stringify(wrapped));
});
