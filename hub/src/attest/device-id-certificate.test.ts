import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDice, testLayers, testSeconds, testVendor } from '@edgekeep/core/attest/dice/testing';
import { toBase64url } from '@edgekeep/core/bytes';
import { type Certificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { indexCertificates } from '@edgekeep/core/identity/certificate-index';
import { refusalOf } from '../common/testing-refusal.ts';
import { deviceIdCertificateOf, proveDeviceId } from './device-id-certificate.ts';

const vendor = await testVendor();
const other = await testVendor(700);
const { chain, deviceIdKey } = await testDice(vendor);
// The alias and the layer above it come first in the chain of evidence; the DeviceID is the last below the maker.
const deviceId = chain.at(-2);
assert.ok(deviceId !== undefined);

const identityOf = (...certificates: readonly Certificate[]) => ({
  kind: 'dice' as const,
  deviceIdCertificates: certificates.map(({ der }) => toBase64url(der)),
});
const trust = (...anchors: readonly Certificate[]) => ({
  anchors: indexCertificates(anchors),
  intermediates: indexCertificates([]),
});
const prove = (identity: ReturnType<typeof identityOf>, anchors = trust(vendor.root), atSeconds = testSeconds) =>
  proveDeviceId(identity, anchors, atSeconds * 1_000);

test('a DeviceID on a path to a maker that is trusted for DICE is proven, with the authorities above it', () => {
  const proven = prove(identityOf(deviceId, vendor.issuing));
  assert.equal(proven.authorities.length, 2);
  assert.deepEqual(proven.makersWord.chain.at(-1)?.der, vendor.root.der);
  const key = publicKeyOf(deviceIdCertificateOf(identityOf(deviceId)));
  assert.ok(key.equals(deviceIdKey));
});

test('a DeviceID of a maker that nobody trusts, without its issuer, or not yet valid is refused', async () => {
  assert.match(
    await refusalOf(() => prove(identityOf(deviceId, vendor.issuing), trust(other.root))),
    /^enrollment-refused: /,
  );
  assert.match(await refusalOf(() => prove(identityOf(deviceId))), /^enrollment-refused: /);
  const early = () => prove(identityOf(deviceId, vendor.issuing), trust(vendor.root), 1_699_999_999);
  assert.match(await refusalOf(early), /^enrollment-refused: /);
});

test('a certificate of a later layer, or of the maker, is no DeviceID', async () => {
  const [alias] = chain;
  assert.ok(alias !== undefined && testLayers.length > 1);
  for (const [first, ...rest] of [[alias, ...chain.slice(1)], [vendor.issuing]])
    assert.match(
      await refusalOf(() => prove(identityOf(...(first === undefined ? [] : [first]), ...rest))),
      /^enrollment-refused: /,
    );
});
