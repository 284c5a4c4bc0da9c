import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { CoreError } from '../error.ts';
import { type IdevidProofSubject, idevidProofMessage, verifyIdevidProof } from './idevid-proof.ts';
import { newSigner } from '../identity/testing-manufacturer.ts';

const key = newSigner();
const { publicKey } = key;
const subject: IdevidProofSubject = {
  nonce: randomBytes(32),
  operationalSpki: randomBytes(91),
  deviceId: 'sn-1',
  identity: { kind: 'secure-element', signingKey: 'a', encryptionKey: 'b' },
};
const signature = await key.sign(idevidProofMessage(subject));

test('a signature by the IDevID key over all that an enrolment is about verifies', () => {
  const verdict = verifyIdevidProof({ signature }, { publicKey, subject, attestationKey: undefined });
  assert.deepEqual(verdict, { kind: 'verified' });
});

const others: readonly (readonly [string, Partial<IdevidProofSubject>])[] = [
  ['another nonce: a replay', { nonce: randomBytes(32) }],
  ['another operational key', { operationalSpki: randomBytes(91) }],
  ['another device id', { deviceId: 'sn-2' }],
  ['another signing key', { identity: { kind: 'secure-element', signingKey: 'c', encryptionKey: 'b' } }],
  ['another key for model keys', { identity: { kind: 'secure-element', signingKey: 'a', encryptionKey: 'c' } }],
];
for (const [what, change] of others) {
  test(`a signature for ${what} is refused`, () => {
    const expected = { publicKey, subject: { ...subject, ...change }, attestationKey: undefined };
    const verdict = verifyIdevidProof({ signature }, expected);
    assert.ok(verdict.kind === 'refused');
    assert.equal(verdict.code, 'idevid-not-possessed');
  });
}

test('a signature by another key, and octets that are none, are refused', async () => {
  for (const wrong of [await newSigner().sign(idevidProofMessage(subject)), new Uint8Array(0), randomBytes(70)]) {
    const verdict = verifyIdevidProof({ signature: wrong }, { publicKey, subject, attestationKey: undefined });
    assert.ok(verdict.kind === 'refused');
    assert.equal(verdict.code, 'idevid-not-possessed');
  }
});

test('a TPM that does not certify the IDevID key is refused, whatever that key signed', () => {
  const attestationKey = { publicKey: newSigner().publicKey };
  const verdict = verifyIdevidProof({ signature }, { publicKey, subject, attestationKey });
  assert.ok(verdict.kind === 'refused');
  assert.equal(verdict.code, 'idevid-residency-missing');
});

test('a nonce of another length makes no message', () => {
  const short = { ...subject, nonce: randomBytes(31) };
  assert.throws(
    () => idevidProofMessage(short),
    (error) => error instanceof CoreError && error.code === 'evidence-invalid',
  );
});
