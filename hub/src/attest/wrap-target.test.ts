// The bindings of a wrapped model key: this device, the boot that was just proven, this lease.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type LeaseTerms, policyLeaseTerms } from '@edgekeep/core/access/lease-terms';
import { boundWrapType, encodeWrapContext } from '@edgekeep/core/access/wrap-context';
import { type WrappedKey, wrappedKeyHpkeInfo } from '@edgekeep/core/access/wrapped-key';
import { parseBase64url, utf8 } from '@edgekeep/core/bytes';
import { hpkeOpen } from '@edgekeep/core/identity/hpke';
import { emptyPolicy, policyAuthValue, policyPcr } from '@edgekeep/core/tpm/policy';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { testKeyDevice, testTpmDevice } from './testing-device.ts';
import { wrapForDevice, wrapTargetOf } from './wrap-target.ts';

const modelKey = randomBytes(32);
const appraisal = { pcrSelection: [0, 7, 14], pcrDigest: 'ab'.repeat(32) };
const terms: LeaseTerms = { resetCount: 7, restartCount: 1, clockMost: '5000', counterMost: '12' };
const formerUse = { form: 'lease-id', leaseId: 'lease-1' } as const;
const tpm = wrapTargetOf(testTpmDevice('press-1', 1).identity);

type TpmKey = Extract<WrappedKey, { kind: 'tpm-import' }>;
function wrapForTpm(changes: Partial<typeof appraisal> = {}, leaseTerms?: LeaseTerms): TpmKey {
  const wrapped = wrapForDevice(modelKey, tpm, { ...appraisal, ...changes }, formerUse, leaseTerms);
  assert.ok(wrapped.kind === 'tpm-import');
  return wrapped;
}
const policyOf = ({ publicArea }: TpmKey) => parsePublic(parseBase64url(publicArea, 'publicArea')).authPolicy;

const bootPolicy = (pcrs: readonly number[], digest: number) =>
  policyAuthValue(policyPcr(emptyPolicy(), [{ bank: 'sha256', pcrs }], new Uint8Array(32).fill(digest)));

test('for a TPM, the TPM itself opens the key in the boot that was proven only, and for who has the authorization value', () => {
  assert.deepEqual(policyOf(wrapForTpm()), bootPolicy([0, 7, 14], 0xab));
  assert.deepEqual(policyOf(wrapForTpm({ pcrDigest: 'cd'.repeat(32) })), bootPolicy([0, 7, 14], 0xcd));
  assert.deepEqual(policyOf(wrapForTpm({ pcrSelection: [0, 7] })), bootPolicy([0, 7], 0xab));
  assert.equal(parseBase64url(wrapForTpm().authValue ?? '', 'authValue').length, 32);
  assert.notEqual(wrapForTpm().authValue, wrapForTpm().authValue);
});

test('for a TPM that ends leases, the terms of the lease are part of the policy', () => {
  const wrapped = wrapForTpm({}, terms);
  assert.deepEqual(policyOf(wrapped), policyLeaseTerms(bootPolicy([0, 7, 14], 0xab), terms));
  assert.deepEqual(wrapped.terms, terms);
  const longer = wrapForTpm({}, { ...terms, clockMost: '5001' });
  assert.notDeepEqual(policyOf(longer), policyOf(wrapped));
});

for (const kind of ['software', 'secure-element'] as const) {
  test(`for a device of the tier ${kind}, the key opens with the device's own key and under its own lease only`, () => {
    const device = testKeyDevice('press-2', 2, kind);
    const wrapped = wrapForDevice(modelKey, wrapTargetOf(device.identity), appraisal, formerUse);
    assert.ok(wrapped.kind === 'hpke');
    const open = (recipientPrivateKey = device.encryptionKey, leaseId = 'lease-1') =>
      hpkeOpen({
        recipientPrivateKey,
        encapsulatedKey: parseBase64url(wrapped.encapsulatedKey, 'encapsulatedKey'),
        ciphertext: parseBase64url(wrapped.ciphertext, 'ciphertext'),
        info: utf8(wrappedKeyHpkeInfo),
        aad: utf8(leaseId),
      });
    assert.deepEqual(Buffer.from(open()), modelKey);
    assert.throws(() => open(testKeyDevice('press-3', 3, kind).encryptionKey), { code: 'hpke-open' });
    assert.throws(() => open(device.encryptionKey, 'lease-2'), { code: 'hpke-open' });
  });
}

test('a bound key opens under its context and no other', () => {
  const device = testKeyDevice('press-2', 2, 'software');
  const lease = {
    id: '3a6610b9-c601-4ea5-b345-1b24578796b4',
    deviceId: 'press-2',
    model: 'belt',
    version: '1.0.0',
    manifestDigest: 'ab'.repeat(32),
    notBefore: 1_000,
    renewAfter: 3_000,
    notAfter: 4_000,
  };
  const context = { purpose: 'model key', lease } as const;
  const use = { form: 'bound', context } as const;
  const wrapped = wrapForDevice(modelKey, wrapTargetOf(device.identity), appraisal, use);
  assert.ok(wrapped.kind === 'hpke' && wrapped.type === boundWrapType);
  const open = (info: Uint8Array, aad: Uint8Array = new Uint8Array(0)) =>
    hpkeOpen({
      recipientPrivateKey: device.encryptionKey,
      encapsulatedKey: parseBase64url(wrapped.encapsulatedKey, 'encapsulatedKey'),
      ciphertext: parseBase64url(wrapped.ciphertext, 'ciphertext'),
      info,
      aad,
    });
  assert.deepEqual(Buffer.from(open(encodeWrapContext(context))), modelKey);
  for (const other of [
    encodeWrapContext({ purpose: 'model key', lease: { ...lease, version: '1.0.1' } }),
    encodeWrapContext({ purpose: 'hub unlock' }),
    utf8(wrappedKeyHpkeInfo),
  ]) {
    assert.throws(() => open(other), { code: 'hpke-open' });
    assert.throws(() => open(other, utf8(lease.id)), { code: 'hpke-open' });
  }
  const sealed = wrapForDevice(modelKey, tpm, appraisal, use);
  assert.ok(sealed.kind === 'tpm-import' && sealed.type === boundWrapType);
});

test('the evidence was not made by this DICE device: no key', () => {
  assert.throws(() => wrapForDevice(modelKey, { kind: 'dice' }, appraisal, formerUse), TypeError);
});
