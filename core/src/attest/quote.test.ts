import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectAttributes } from '../tpm/public-area.ts';
import { attestationKeyOf } from './quote.ts';
import { fixedKey, testAttester } from './testing.ts';

const { publicArea } = testAttester(fixedKey(1));

test('a restricted signing key that its TPM made is an attestation key', () => {
  assert.ok(attestationKeyOf(publicArea, 'endorsement').qualifiedName !== undefined);
});

for (const name of ['fixedTpm', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const) {
  test(`a key without ${name} is no attestation key: it may sign what its TPM did not make, or be elsewhere`, () => {
    const attributes = publicArea.attributes & ~objectAttributes[name];
    assert.throws(() => attestationKeyOf({ ...publicArea, attributes }, 'endorsement'), { code: 'evidence-invalid' });
  });
}

test('a key that decrypts as well is no attestation key', () => {
  const attributes = publicArea.attributes | objectAttributes.decrypt;
  assert.throws(() => attestationKeyOf({ ...publicArea, attributes }, 'endorsement'), { code: 'evidence-invalid' });
});
