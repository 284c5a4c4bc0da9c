import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixedKey, testAttester } from '@edgekeep/core/attest/testing';
import { toBase64url } from '@edgekeep/core/bytes';
import { encodeSizedPublic, objectAttributes } from '@edgekeep/core/tpm/public-area';
import { endorsementTemplate } from '@edgekeep/core/tpm/template';
import { refusalOf } from '../common/testing-refusal.ts';
import { enrollingKeyFor, rootDigestOf, RootKeys } from './root-keys.ts';
import { testKeyDevice, testTpmDevice } from './testing-device.ts';

const { template } = endorsementTemplate('rsa-2048');
assert.ok(template.kind === 'rsa');
const endorsement = encodeSizedPublic({ ...template, modulus: new Uint8Array(256).fill(0xc1) });

function device(id: string, scalar: number) {
  const attestationKey = toBase64url(encodeSizedPublic(testAttester(fixedKey(scalar)).publicArea));
  const identity = {
    kind: 'tpm',
    endorsementKey: toBase64url(endorsement),
    endorsementKeyKind: 'rsa-2048',
    endorsementCertificates: ['AA'],
    attestationKey,
  };
  return { id, identity: JSON.stringify(identity) };
}

test('the keys of a device are read once', () => {
  const keys = new RootKeys();
  assert.equal(keys.attestationKey(device('press-1', 1)), keys.attestationKey(device('press-1', 1)));
  assert.equal(keys.wrapTarget(device('press-1', 1)), keys.wrapTarget(device('press-1', 1)));
});

test('a device that is registered anew is not judged by its old keys', () => {
  const keys = new RootKeys();
  const old = keys.attestationKey(device('press-1', 1));
  assert.equal(keys.attestationKey(device('press-1', 2)).publicKey.equals(old.publicKey), false);
});

test('two devices do not share keys', () => {
  const keys = new RootKeys();
  const first = keys.attestationKey(device('press-1', 1)).publicKey;
  assert.equal(keys.attestationKey(device('press-2', 2)).publicKey.equals(first), false);
});

test('an identity that is not one is refused', () => {
  assert.throws(() => new RootKeys().attestationKey({ id: 'press-1', identity: '{"kind":"tpm"}' }));
});

test('a root of trust is known by its key: what is not proven around it makes no second device of it', () => {
  const one = testTpmDevice('press-1', 1).identity;
  assert.ok(one.kind === 'tpm');
  const [withOther, another] = [testTpmDevice('press-1', 2).identity, testKeyDevice('press-1', 1).identity];
  assert.ok(withOther.kind === 'tpm');
  const digest = rootDigestOf(one);
  assert.equal(rootDigestOf({ ...one, attestationKey: withOther.attestationKey }), digest);
  assert.equal(rootDigestOf({ ...one, endorsementCertificates: ['AAAA'] }), digest);
  assert.notEqual(rootDigestOf({ ...one, endorsementKey: withOther.endorsementKey }), digest);
  assert.notEqual(rootDigestOf(another), digest);
  assert.ok(another.kind === 'software');
  assert.equal(rootDigestOf({ ...another, kind: 'secure-element' }), rootDigestOf(another));
  assert.equal(rootDigestOf({ ...another, encryptionKey: 'AAAA' }), rootDigestOf(another));
});

test('a device without a root of trust has nothing that evidence could be signed with', async () => {
  for (const kind of ['est', 'token'])
    assert.equal(
      await refusalOf(() => new RootKeys().attestationKey({ id: 'meter-1', identity: JSON.stringify({ kind }) })),
      'attestation-refused',
    );
});

// SECURITY.md: DEV-55
test('an attestation key that nobody listed does not enroll, and stays known as such for a device that has it', () => {
  const { identity } = testTpmDevice('press-1', 1);
  assert.ok(identity.kind === 'tpm');
  assert.ok(enrollingKeyFor(identity).qualifiedName !== undefined);
  assert.equal(new RootKeys().unlistedKey({ id: 'press-1', identity: JSON.stringify(identity) }), undefined);
  const { publicArea } = testAttester(fixedKey(1));
  const clears = { ...publicArea, attributes: publicArea.attributes | objectAttributes.stClear };
  const old = { ...identity, attestationKey: toBase64url(encodeSizedPublic(clears)) };
  assert.throws(() => enrollingKeyFor(old), { code: 'evidence-invalid' });
  assert.match(new RootKeys().unlistedKey({ id: 'press-1', identity: JSON.stringify(old) }) ?? '', /stClear/);
});
