// What the certificates of a DICE device may be (spec/dice.md, "The chain"), one rule a test; dice.test.ts appraises whole devices.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Certificate } from '../../identity/certificate.ts';
import { certificateDigests } from '../../identity/certificate-identity.ts';
import { basicConstraints, extendedKeyUsage, type Extension, keyUsage } from '../../identity/extensions.ts';
import type { CertificateTemplate } from '../../identity/issue.ts';
import { keyPurposeOid } from '../../identity/oid.ts';
import { type DeviceIdResult, type DiceChainResult, validateDeviceId, validateDiceChain } from './chain.ts';
import { diceExtensionOid } from './oid.ts';
import type { TcbInfo } from './tcb-info.ts';
import { multiTcbInfoExtension, ueidExtension } from './testing-tcb-info.ts';
import { fwidOf, testDice, testLayers, testSeconds, testVendor } from './testing.ts';

const vendor = await testVendor();
const trust = { anchors: [vendor.root], intermediates: [] };

/** The chain of a device whose certificate of layer `at` was issued with other extensions. */
async function chainWith(at: number, change: (extensions: readonly Extension[]) => readonly Extension[]) {
  const changed = (made: CertificateTemplate) => ({ ...made, extensions: [...change(made.extensions)] });
  const layers = testLayers.map((layer, index) => (index === at ? { ...layer, change: changed } : layer));
  return (await testDice(vendor, layers)).chain;
}
const replacing = (extension: Extension) => (extensions: readonly Extension[]) => [
  ...extensions.filter(({ oid }) => oid !== extension.oid),
  extension,
];
const without = (extensions: readonly Extension[], ...oids: readonly string[]) =>
  extensions.filter(({ oid }) => !oids.includes(oid));

const validate = (chain: readonly Certificate[]) => validateDiceChain(chain, trust, testSeconds);
function assertRefused(result: DiceChainResult | DeviceIdResult, code: string, message: RegExp): void {
  assert.ok(result.kind === 'refused');
  assert.equal(result.reasons[0]?.code, code);
  assert.match(result.reasons.map((reason) => reason.message).join('; '), message);
}

test('a certificate that occurs twice is refused, so that the path of a stranger costs no search', async () => {
  const { chain } = await testDice(vendor);
  assert.equal(validate([...chain, vendor.root]).kind, 'valid');
  assertRefused(validate([...chain, vendor.root, vendor.root]), 'dice-path-refused', /occurs twice/);
});

// SECURITY.md: DEV-73
test('a certificate that the operator removed is part of no path, in any form of its signature, also where the device sends it', async () => {
  const { chain } = await testDice(vendor);
  assert.ok(chain.includes(vendor.issuing));
  for (const digest of certificateDigests(vendor.issuing)) {
    const without = { ...trust, removed: new Set([digest]) };
    assertRefused(
      validateDiceChain(chain, without, testSeconds),
      'dice-path-refused',
      /trusts .*DICE maker 900.* no more/,
    );
    assertRefused(validateDeviceId(chain.slice(2), without, testSeconds), 'dice-path-refused', /no more/);
  }
  const other = { ...trust, removed: new Set(certificateDigests((await testVendor(902)).issuing)) };
  assert.equal(validateDiceChain(chain, other, testSeconds).kind, 'valid');
});

test('a key that signs evidence has digitalSignature among its uses', async () => {
  const chain = await chainWith(2, replacing(keyUsage('keyAgreement')));
  assertRefused(validate(chain), 'dice-profile-refused', /lacks digitalSignature/);
});

test('an identity of a chip that has other purposes, or may not issue, issues no first layer', async () => {
  const identity = (...others: readonly Extension[]) =>
    chainWith(0, (extensions) => [
      ...without(extensions, diceExtensionOid.tcbInfo, ...others.map(({ oid }) => oid)),
      ueidExtension(new Uint8Array(16).fill(1)),
      ...others,
    ]);
  assert.equal(validate(await identity()).kind, 'valid');
  const purposed = await identity(extendedKeyUsage(keyPurposeOid.clientAuth));
  assertRefused(validate(purposed), 'dice-profile-refused', /may not issue the first layer/);
  assertRefused(validateDeviceId(purposed.slice(2), trust, testSeconds), 'dice-profile-refused', /extended key usage/);
  const mute = await identity(keyUsage('digitalSignature'));
  assertRefused(validateDeviceId(mute.slice(2), trust, testSeconds), 'dice-profile-refused', /lacks keyCertSign/);
});

test('a DeviceID is an authority that may issue the layer above it', async () => {
  const deviceId = async (extension: Extension) => {
    const chain = await chainWith(0, replacing(extension));
    return validateDeviceId(chain.slice(2), trust, testSeconds);
  };
  assert.equal((await deviceId(keyUsage('keyCertSign'))).kind, 'valid');
  assertRefused(await deviceId(basicConstraints(false)), 'dice-profile-refused', /is not an authority/);
  assertRefused(await deviceId(keyUsage('digitalSignature')), 'dice-profile-refused', /lacks keyCertSign/);
});

test('the TcbInfos of one certificate are of one layer, and their indices increase', async () => {
  const fwids = [fwidOf('c')];
  const infos = (...given: readonly TcbInfo[]) =>
    chainWith(2, (extensions) => [
      ...without(extensions, diceExtensionOid.tcbInfo),
      multiTcbInfoExtension(given.map((each) => ({ ...each, fwids }))),
    ]);
  const ascending = await infos({ layer: 2 }, { layer: 2, index: 1 }, { layer: 2, index: 3 });
  assert.equal(validate(ascending).kind, 'valid');
  const mixed = await infos({ layer: 2 }, { layer: 3 });
  assertRefused(validate(mixed), 'dice-layer-order', /is of the layers 2 and 3/);
  for (const second of [0, 1]) {
    const repeated = await infos({ layer: 2, index: 1 }, { layer: 2, index: second });
    assertRefused(validate(repeated), 'dice-layer-order', /indices increase/);
  }
});
