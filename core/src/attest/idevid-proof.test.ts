import assert from 'node:assert/strict';
import { createPublicKey, randomBytes, sign } from 'node:crypto';
import { test } from 'node:test';
import { CoreError } from '../error.ts';
import { newSigner } from '../identity/testing-manufacturer.ts';
import { ecdsaDerToRaw } from '../jws.ts';
import { type TpmsAttest } from '../tpm/attest.ts';
import { encodeAttest } from '../tpm/testing-attest.ts';
import { encodeSizedPublic, objectAttributes, tpmName } from '../tpm/public-area.ts';
import { encodeTpmSignature } from '../tpm/signature.ts';
import { idevidProofDigest, type IdevidProofSubject, idevidProofMessage, verifyIdevidProof } from './idevid-proof.ts';
import { fixedKey, testAttester } from './testing.ts';

const key = newSigner();
const { publicKey } = key;
const subject: IdevidProofSubject = {
  use: 'enroll',
  nonce: randomBytes(32),
  operationalSpki: randomBytes(91),
  deviceId: 'sn-1',
  identity: { kind: 'secure-element', signingKey: 'a', encryptionKey: 'b' },
};
const signature = await key.sign(idevidProofMessage(subject));

test('a signature by the IDevID key over all that an enrollment is about verifies', () => {
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

test('a TPM that does not certify the IDevID key is refused, also with a signature by that key', () => {
  const attestationKey = { publicKey: newSigner().publicKey };
  const verdict = verifyIdevidProof({ signature }, { publicKey, subject, attestationKey });
  assert.ok(verdict.kind === 'refused');
  assert.equal(verdict.code, 'idevid-residency-missing');
});

/** The TPM's statement about the creation of the IDevID key, signed by `attester`. */
const attester = testAttester(fixedKey(1));
const created = testAttester(fixedKey(2));
const own = { publicKey: createPublicKey(created.privateKey), subject, attestationKey: attester.key };
const ownSignature = sign('sha256', idevidProofMessage(subject), created.privateKey);

function residency(
  change: Partial<Extract<TpmsAttest, { kind: 'creation' }>> = {},
  signer = attester,
  publicArea = created.publicArea,
) {
  const attest = encodeAttest({
    kind: 'creation',
    qualifiedSigner: signer.key.qualifiedName ?? new Uint8Array(0),
    extraData: idevidProofDigest(subject),
    clockInfo: { clock: 1n, resetCount: 7, restartCount: 0, safe: true },
    firmwareVersion: 1n,
    name: tpmName(publicArea),
    creationHash: new Uint8Array(32),
    ...change,
  });
  const raw = ecdsaDerToRaw(sign('sha256', attest, signer.privateKey), 32);
  const signature = encodeTpmSignature({ kind: 'ecdsa', hash: 'sha256', r: raw.subarray(0, 32), s: raw.subarray(32) });
  return { publicArea: encodeSizedPublic(publicArea), attest, signature };
}
const inTpm = (shown: ReturnType<typeof residency>) =>
  verifyIdevidProof({ signature: ownSignature, residency: shown }, own);

test('a TPM whose attestation key certifies that it made the IDevID key proves that the key is in it', () => {
  assert.deepEqual(inTpm(residency()), { kind: 'verified' });
});

test('the word of another TPM, about another key or another enrollment, or about a key that can leave is refused', () => {
  const stranger = testAttester(fixedKey(3));
  const movable = { ...created.publicArea, attributes: created.publicArea.attributes & ~objectAttributes.fixedTpm };
  const wrong = {
    'another attestation key': residency({}, stranger),
    'another name of its signer': residency({ qualifiedSigner: stranger.key.qualifiedName ?? new Uint8Array(0) }),
    'another enrollment': residency({ extraData: new Uint8Array(32) }),
    'the creation of another key': residency({ name: tpmName(stranger.publicArea) }),
    'a public area of another key': residency({}, attester, stranger.publicArea),
    'a key that is not bound to its TPM': residency({}, attester, movable),
  };
  for (const [what, shown] of Object.entries(wrong)) {
    const verdict = inTpm(shown);
    assert.ok(verdict.kind === 'refused', what);
    assert.equal(verdict.code, 'idevid-not-in-this-tpm', what);
  }
});

test('a nonce of another length makes no message', () => {
  const short = { ...subject, nonce: randomBytes(31) };
  assert.throws(
    () => idevidProofMessage(short),
    (error) => error instanceof CoreError && error.code === 'evidence-invalid',
  );
});
