// Which certificate is the DeviceID when a chip's identity measures nothing, as in Caliptra (spec/dice.md, "The chain").
import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { describe, test } from 'node:test';
import { utf8 } from '../../bytes.ts';
import { type Certificate, parseCertificate, publicKeyOf } from '../../identity/certificate.ts';
import { type CertificateTemplate, issueCertificate } from '../../identity/issue.ts';
import { keyUsage } from '../../identity/extensions.ts';
import { encodeSpki } from '../../identity/public-key.ts';
import { signerFromKey } from '../../signer.ts';
import { fixedKey } from '../testing.ts';
import { verifyDiceEvidence } from '../dice-appraise.ts';
import { deviceIdPosition, validateDeviceId, validateDiceChain } from './chain.ts';
import { diceExtensionOid } from './oid.ts';
import { aliasProfile, deviceIdProfile, identityProfile, multiLayerProfile } from './testing-profile.ts';
import { fwidOf, testDiceEvidence, testSeconds, testVendor, type TestVendor } from './testing.ts';

const ueid = utf8('\u0001sixteen octets!!');
const scalars = { idevid: 40, ldevid: 41 };

function inputOf(scalar: number) {
  const spki = encodeSpki(createPublicKey(fixedKey(scalar)));
  const notAfterSeconds = 253_402_300_799;
  return { spki, serialRandom: Uint8Array.from(spki.subarray(-16)), notBeforeSeconds: 1_700_000_000, notAfterSeconds };
}

type Change = (template: CertificateTemplate, kind: string) => CertificateTemplate;

/** Leaf first; `firmware` is the scalar at which the layers' keys begin, so another value is other firmware. */
async function caliptra(vendor: TestVendor, firmware: number, change: Change = (template) => template) {
  const issued = async (template: CertificateTemplate, kind: string, scalar?: number): Promise<Certificate> => {
    const key = scalar === undefined ? vendor.key : fixedKey(scalar);
    return parseCertificate(await issueCertificate(change(template, kind), signerFromKey(key)));
  };
  const idevid = await issued(identityProfile(inputOf(scalars.idevid), vendor.issuing, ueid), 'idevid');
  const ldevid = await issued(identityProfile(inputOf(scalars.ldevid), idevid, ueid), 'ldevid', scalars.idevid);
  const fmcInfos = [{ fwids: [fwidOf('1')] }, { svn: 3, fwids: [fwidOf('2')] }];
  const fmc = await issued(multiLayerProfile(inputOf(firmware), ldevid, fmcInfos, ueid), 'fmc', scalars.ldevid);
  const runtime = multiLayerProfile(inputOf(firmware + 1), fmc, [{ svn: 3, fwids: [fwidOf('3')] }], ueid);
  const alias = await issued(runtime, 'runtime', firmware);
  const leaf = await issued(aliasProfile(inputOf(firmware + 2), alias, { fwids: [fwidOf('4')] }), 'leaf', firmware + 1);
  return { chain: [leaf, alias, fmc, ldevid, idevid, vendor.issuing], aliasKey: fixedKey(firmware + 2), ldevid, fmc };
}

const vendor = await testVendor();
const trust = { anchors: [vendor.root], intermediates: [] };
const good = await caliptra(vendor, 60);
const updated = await caliptra(vendor, 70);

describe('a chip whose LDevID has no TcbInfo', () => {
  test('is known by its LDevID, with one firmware and with the next', () => {
    for (const { chain, ldevid } of [good, updated]) {
      assert.equal(deviceIdPosition(chain), 3);
      const result = validateDiceChain(chain, trust, testSeconds);
      assert.ok(result.kind === 'valid', JSON.stringify(result));
      assert.deepEqual(result.deviceId.der, ldevid.der);
      assert.deepEqual(
        result.layers.map(({ layer, index }) => [layer, index]),
        [
          [0, 0],
          [0, 1],
          [1, 0],
          [2, 0],
        ],
      );
    }
    assert.notDeepEqual(good.fmc.spki, updated.fmc.spki);
    assert.deepEqual(good.ldevid.spki, updated.ldevid.spki);
  });

  test('enrolls with its LDevID, and not with its FMC alias, which changes, nor with the maker', () => {
    const enroll = (from: number) => validateDeviceId(good.chain.slice(from), trust, testSeconds);
    assert.equal(enroll(3).kind, 'valid');
    for (const [from, code] of [
      [1, 'dice-device-differs'],
      [2, 'dice-device-differs'],
      [5, 'dice-layer-missing'],
    ] as const) {
      const result = enroll(from);
      assert.ok(result.kind === 'refused', String(from));
      assert.equal(result.reasons[0]?.code, code, String(from));
    }
  });

  const bytes = new Uint8Array(32).fill(5);
  const verdictOf = (device: Awaited<ReturnType<typeof caliptra>>, registered: Certificate) =>
    verifyDiceEvidence(
      testDiceEvidence(device, bytes, [0]),
      {
        expectedQualifyingData: bytes,
        pcrSelection: [0],
        trust,
        deviceIdKey: publicKeyOf(registered),
        atSeconds: testSeconds,
      },
      () => new Uint8Array(32),
    );

  test('is the same device after a firmware update, and another chip is another', async () => {
    assert.equal(verdictOf(good, good.ldevid).kind, 'verified');
    assert.equal(verdictOf(updated, good.ldevid).kind, 'verified');
    const [, , , , idevid] = good.chain;
    assert.ok(idevid !== undefined);
    for (const other of [idevid, vendor.issuing]) {
      const verdict = verdictOf(good, other);
      assert.ok(verdict.kind === 'refused');
      assert.equal(verdict.reasons[0]?.code, 'dice-device-differs');
    }
  });

  test('keeps the identity it enrolled with when its first layer still counted as the DeviceID, until that layer changes', () => {
    assert.equal(verdictOf(good, good.fmc).kind, 'verified');
    assert.equal(verdictOf(updated, good.fmc).kind, 'refused');
  });

  test('is refused when what issued its first layer may issue nothing, or a layer is missing between two', async () => {
    const withoutSign: Change = (template, kind) =>
      kind === 'ldevid'
        ? {
            ...template,
            extensions: template.extensions.map((each) =>
              each.oid === keyUsage('keyCertSign').oid ? keyUsage('digitalSignature') : each,
            ),
          }
        : template;
    const { chain } = await caliptra(vendor, 60, withoutSign);
    assert.equal(validateDiceChain(chain, trust, testSeconds).kind, 'refused');
    assert.equal(validateDeviceId(chain.slice(3), trust, testSeconds).kind, 'refused');
    const gap: Change = (template, kind) =>
      kind === 'runtime'
        ? { ...template, extensions: template.extensions.filter(({ oid }) => oid !== diceExtensionOid.multiTcbInfo) }
        : template;
    const result = validateDiceChain((await caliptra(vendor, 60, gap)).chain, trust, testSeconds);
    assert.ok(result.kind === 'refused');
    assert.equal(result.reasons[0]?.code, 'dice-layer-missing');
  });
});

test('a device whose first layer the maker certified is known by that layer alone', async () => {
  const deviceId = deviceIdProfile(inputOf(80), vendor.issuing, { layer: 0, fwids: [fwidOf('a')] });
  const first = parseCertificate(await issueCertificate(deviceId, signerFromKey(vendor.key)));
  const leaf = parseCertificate(
    await issueCertificate(
      aliasProfile(inputOf(81), first, { layer: 1, fwids: [fwidOf('b')] }),
      signerFromKey(fixedKey(80)),
    ),
  );
  const chain = [leaf, first, vendor.issuing];
  assert.equal(deviceIdPosition(chain), 1);
  const result = validateDiceChain(chain, trust, testSeconds);
  assert.ok(result.kind === 'valid');
  assert.deepEqual(result.deviceId.der, first.der);
});
