import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, sign } from 'node:crypto';
import { describe, test } from 'node:test';
import { utf8 } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import {
  authorityKeyIdentifier,
  basicConstraints,
  extendedKeyUsage,
  type Extension,
  keyUsage,
} from '../../identity/extensions.ts';
import type { CertificateTemplate } from '../../identity/issue.ts';
import { keyPurposeOid } from '../../identity/oid.ts';
import { type Appraisal, appraiseEvidence, type AppraisalInput } from '../appraise.ts';
import { attestationResultOf, signAttestationResult, verifyAttestationResult } from '../ear.ts';
import { encodeEventLogHeader } from '../event-log.ts';
import { encodeEvidence, encodeSoftwareStatement, parseEvidence, signedStatement } from '../evidence.ts';
import type { ReferenceValues } from '../reference-values.ts';
import { encodeReferenceValues, parseReferenceValues } from '../reference-values.ts';
import { signerFromKey } from '../../signer.ts';
import { fixedKey } from '../testing.ts';
import { commonNameOnly } from '../../identity/distinguished-name.ts';
import { encodeSpki, keyIdentifierOf } from '../../identity/public-key.ts';
import { fwidText } from './fwid.ts';
import { sealingKeyOf } from './sealing-key.ts';
import { diceKeyPurposeOid } from './oid.ts';
import type { ReferenceLayer } from './reference-layer.ts';
import type { TcbInfo } from './tcb-info.ts';
import { multiTcbInfoExtension } from './testing-tcb-info.ts';
import {
  fwidOf,
  type TestDice,
  testDice,
  testDiceEvidence,
  type TestLayer,
  testLayers,
  testSeconds,
  testVendor,
} from './testing.ts';

const vendor = await testVendor();
const device = await testDice(vendor);
const qualifyingData = new Uint8Array(32).fill(7);
const pcrs = [0, 14];

function referenceLayers(layers: readonly TestLayer[] = testLayers): readonly ReferenceLayer[] {
  return layers.map(({ tcbInfo }, layer) => ({
    layer,
    name: `firmware of layer ${layer}`,
    vendor: 'Example',
    model: 'M1',
    fwids: [(tcbInfo.fwids ?? []).map(fwidText)],
    svnLeast: tcbInfo.svn,
  }));
}

function setOf(layers: readonly ReferenceLayer[]): ReferenceValues {
  return { type: 'edgekeep-reference-values/v1', name: 'dice', version: '1', bank: 'sha256', events: [], layers };
}

const healthy = setOf(referenceLayers());

function appraise(found: TestDice, changes: Partial<AppraisalInput> = {}): Appraisal {
  return appraiseEvidence({
    evidence: testDiceEvidence(found, qualifyingData, pcrs),
    key: { publicKey: found.deviceIdKey },
    tier: 'dice',
    expectedQualifyingData: qualifyingData,
    pcrSelection: pcrs,
    referenceValues: [healthy],
    dice: { trust: { anchors: [vendor.root], intermediates: [] }, atSeconds: testSeconds },
    ...changes,
  });
}

/** `testLayers` with one of them changed. */
function layersWith(at: number, changed: Partial<TcbInfo>, change?: TestLayer['change']): readonly TestLayer[] {
  return testLayers.map((layer, index) => {
    if (index !== at) return layer;
    return { ...layer, tcbInfo: { ...layer.tcbInfo, ...changed }, ...(change === undefined ? {} : { change }) };
  });
}

function replacing(extension: Extension) {
  return (template: CertificateTemplate): CertificateTemplate => ({
    ...template,
    extensions: [...template.extensions.filter(({ oid }) => oid !== extension.oid), extension],
  });
}

function without(oid: string) {
  return (template: CertificateTemplate): CertificateTemplate => ({
    ...template,
    extensions: template.extensions.filter((extension) => extension.oid !== oid),
  });
}

test('a healthy device is affirmed, with hardware behind it and its layers named', () => {
  const appraisal = appraise(device);
  assert.deepEqual(appraisal.reasons, []);
  assert.equal(appraisal.status, 'affirming');
  assert.deepEqual(appraisal.vector, { 'instance-identity': 2, hardware: 2, configuration: 2, executables: 3 });
  assert.deepEqual(
    appraisal.dice?.layers.map(({ layer, svn }) => [layer, svn]),
    [
      [0, 1],
      [1, 4],
      [2, 7],
    ],
  );
  assert.equal(appraisal.dice?.sealingKey.length, 65);
});

test('the attestation result of a DICE device names its layers and verifies', async () => {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const result = attestationResultOf(appraise(device), {
    issuedAt: testSeconds,
    verifier: { developer: 'test', build: '1' },
    nonce: new Uint8Array(32),
    subject: 'dice-1',
    policyId: 'dice 1',
  });
  const token = await signAttestationResult(result, signerFromKey(key.privateKey), 'k');
  const window = { nowSeconds: testSeconds, maxAgeSeconds: 60, maxSkewSeconds: 60 };
  const verdict = verifyAttestationResult(token, key.publicKey, window);
  assert.ok(verdict.kind === 'verified');
  assert.equal(verdict.result.layers?.length, 3);
  assert.match(verdict.result.layers?.[0]?.['tcb-info'] ?? '', /^[0-9a-f]{64}$/);
});

for (const [name, make] of [
  ['P-384', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
  ['P-521', () => generateKeyPairSync('ec', { namedCurve: 'P-521' })],
  ['Ed25519', () => generateKeyPairSync('ed25519')],
] as const) {
  test(`an alias key may be ${name}, and has a P-256 sealing key like every other`, async () => {
    const key = make().privateKey;
    const layers = testLayers.map((layer) => (layer.scalar === 12 ? { ...layer, key } : layer));
    const appraisal = appraise(await testDice(vendor, layers));
    assert.deepEqual([appraisal.status, appraisal.dice?.sealingKey.length], ['affirming', 65]);
  });
}

test('an RSA alias key is refused: no sealing key comes from it', async () => {
  const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const change = (made: CertificateTemplate) => ({ ...made, spki: encodeSpki(createPublicKey(key)) });
  const found = await testDice(vendor, layersWith(2, {}, change));
  assert.equal(appraise(found).reasons[0]?.code, 'dice-profile-refused');
  assert.throws(() => sealingKeyOf(key), CoreError);
});

test('evidence survives its own encoding', () => {
  const evidence = testDiceEvidence(device, qualifyingData, pcrs);
  assert.deepEqual(encodeEvidence(parseEvidence(encodeEvidence(evidence))), encodeEvidence(evidence));
});

describe('layers that are not what they should be', () => {
  const cases: readonly (readonly [string, readonly TestLayer[], string, RegExp, object])[] = [
    [
      'unknown firmware in layer 1',
      layersWith(1, { fwids: [fwidOf('d', 'sha384')] }),
      'dice-fwid-unexpected',
      /layer 1 "firmware of layer 1": fwids are sha384:dd.*, expected sha384:bb/,
      { executables: 96 },
    ],
    [
      'firmware with a digest more than expected',
      layersWith(2, { fwids: [fwidOf('c'), fwidOf('e')] }),
      'dice-fwid-unexpected',
      /layer 2/,
      { executables: 96 },
    ],
    ['a layer without any digest', layersWith(2, { fwids: undefined }), 'dice-fwid-unexpected', /fwids are none/, {}],
    [
      'firmware that is too old',
      layersWith(2, { svn: 6 }),
      'dice-svn-too-low',
      /layer 2 .*svn is 6, expected 7 or higher/,
      { executables: 96, configuration: 2 },
    ],
    ['no security version', layersWith(2, { svn: undefined }), 'dice-svn-too-low', /svn is not stated/, {}],
    [
      'a layer in debug mode',
      layersWith(1, { flags: { named: ['debug'], unnamed: [] } }),
      'dice-flag-set',
      /layer 1 .*flags: debug is set, expected no flag set/,
      { configuration: 96, executables: 3 },
    ],
    [
      'a flag nobody knows',
      layersWith(1, { flags: { named: [], unnamed: [20] } }),
      'dice-flag-set',
      /bit 20 is set/,
      { configuration: 96 },
    ],
    [
      'a mask that leaves debug out',
      layersWith(1, {
        flags: { named: [], unnamed: [] },
        flagsMask: { named: ['notConfigured', 'notSecure', 'recovery'], unnamed: [] },
      }),
      'dice-flag-set',
      /debug is not reported/,
      { configuration: 96 },
    ],
    [
      'another vendor',
      layersWith(0, { vendor: 'Other' }),
      'dice-field-differs',
      /layer 0 .*vendor is "Other", expected "Example"/,
      { executables: 96 },
    ],
    ['another model', layersWith(0, { model: undefined }), 'dice-field-differs', /model is not stated/, {}],
  ];
  for (const [title, layers, code, message, claims] of cases) {
    test(`${title} is refused as ${code}`, async () => {
      const appraisal = appraise(await testDice(vendor, layers));
      assert.equal(appraisal.status, 'contraindicated');
      const [reason] = appraisal.reasons;
      assert.equal(reason?.code, code);
      assert.match(reason?.message ?? '', message);
      assert.equal(typeof reason?.layer, 'number');
      assert.deepEqual({ ...appraisal.vector, ...claims }, appraisal.vector);
      // It is still this device.
      assert.equal(appraisal.vector['instance-identity'], 2);
    });
  }

  test('a higher security version than the least is affirmed', async () => {
    assert.equal(appraise(await testDice(vendor, layersWith(2, { svn: 900 }))).status, 'affirming');
  });

  test('a flag is let pass where the reference values allow that flag, and no other', async () => {
    const allowing = setOf(
      referenceLayers().map((layer) => (layer.layer === 1 ? { ...layer, flagsAllowed: ['notImmutable'] } : layer)),
    );
    const flags = (...named: ('debug' | 'notImmutable')[]) => layersWith(1, { flags: { named, unnamed: [] } });
    const changes = { referenceValues: [allowing] };
    assert.equal(appraise(await testDice(vendor, flags('notImmutable')), changes).status, 'affirming');
    const both = appraise(await testDice(vendor, flags('debug', 'notImmutable')), changes);
    assert.deepEqual([both.status, both.reasons.length], ['contraindicated', 1]);
  });

  test('a layer more or less than the reference values have is refused', async () => {
    const more = appraise(device, { referenceValues: [setOf(referenceLayers().slice(0, 2))] });
    assert.deepEqual(
      more.reasons.map(({ code, layer }) => [code, layer]),
      [['dice-layer-unexpected', 2]],
    );
    const short = appraise(await testDice(vendor, testLayers.slice(0, 2)));
    assert.deepEqual(
      short.reasons.map(({ code, layer }) => [code, layer]),
      [['dice-layer-missing', 2]],
    );
  });

  test('every digest of a layer is compared, and each in its place', async () => {
    const [first, second] = [fwidOf('c'), fwidOf('e')];
    const twice = layersWith(2, { fwids: [first, second] });
    const changes = { referenceValues: [setOf(referenceLayers(twice))] };
    assert.equal(appraise(await testDice(vendor, twice), changes).status, 'affirming');
    for (const fwids of [
      [first, fwidOf('0')],
      [fwidOf('0'), second],
      [second, first],
    ]) {
      const { reasons } = appraise(await testDice(vendor, layersWith(2, { fwids })), changes);
      assert.deepEqual(
        reasons.map(({ code }) => code),
        ['dice-fwid-unexpected'],
      );
    }
  });

  test('reference values without layers say nothing about a DICE device', () => {
    const { layers: _, ...boot } = healthy;
    const event = { pcr: 14, name: 'agent', eventType: 13, digests: ['11'.repeat(32)] };
    const { status, reasons } = appraise(device, { referenceValues: [{ ...boot, events: [event] }] });
    assert.deepEqual([status, reasons.map(({ code }) => code)], ['warning', ['reference-values-missing']]);
  });

  test('of several sets the one that matches decides, and without any the verdict is a warning', async () => {
    const old = setOf(referenceLayers(layersWith(2, { fwids: [fwidOf('0')] })));
    assert.equal(appraise(device, { referenceValues: [old, healthy] }).status, 'affirming');
    const none = appraise(device, { referenceValues: [] });
    assert.deepEqual([none.status, none.reasons[0]?.code], ['warning', 'reference-values-missing']);
  });
});

describe('chains that are no proof', () => {
  type Case = readonly [title: string, found: () => Promise<TestDice>, code: string, message: RegExp];
  const swapped = [testLayers[0], testLayers[2], testLayers[1]].filter((layer) => layer !== undefined);
  const bare = without('2.23.133.5.4.1');
  const cases: readonly Case[] = [
    [
      'a vendor that nobody trusts',
      async () => testDice(await testVendor(950)),
      'dice-path-refused',
      /no issuer found/,
    ],
    [
      'an expired layer certificate',
      () =>
        testDice(
          vendor,
          layersWith(1, {}, (made) => ({ ...made, notAfterSeconds: testSeconds - 1 })),
        ),
      'dice-path-refused',
      /expired at/,
    ],
    [
      'a path that is too long for its DeviceID',
      () => testDice(vendor, layersWith(0, {}, replacing(basicConstraints(true, 0)))),
      'dice-path-refused',
      /allows 0 authorities below it, the path has 1/,
    ],
    [
      'an unknown critical extension',
      () =>
        testDice(vendor, layersWith(2, {}, replacing({ oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) }))),
      'dice-path-refused',
      /unknown critical extension 1\.2\.3\.4/,
    ],
    [
      'a layer that is no authority and issued the next one',
      () => testDice(vendor, layersWith(1, {}, replacing(basicConstraints(false)))),
      'dice-path-refused',
      /is not an authority/,
    ],
    [
      'a layer without keyCertSign that issued the next one',
      () => testDice(vendor, layersWith(1, {}, replacing(keyUsage('digitalSignature')))),
      'dice-path-refused',
      /keyCertSign/,
    ],
    [
      'a layer that may not issue by its key purposes',
      () => testDice(vendor, layersWith(1, {}, replacing(extendedKeyUsage(diceKeyPurposeOid.attestLoc)))),
      'dice-profile-refused',
      /may not issue the next layer/,
    ],
    [
      'a signing key for something else',
      () => testDice(vendor, layersWith(2, {}, replacing(extendedKeyUsage(keyPurposeOid.clientAuth)))),
      'dice-profile-refused',
      /is not for attestation/,
    ],
    [
      'a signing key that is an authority',
      () => testDice(vendor, layersWith(2, {}, replacing(basicConstraints(true)))),
      'dice-profile-refused',
      /is an authority/,
    ],
    [
      'a signing key without TcbInfo',
      () => testDice(vendor, layersWith(2, {}, bare)),
      'dice-layer-missing',
      /whose key signs, has no TcbInfo/,
    ],
    [
      'a layer in between without TcbInfo',
      () => testDice(vendor, layersWith(1, {}, bare)),
      'dice-layer-missing',
      /is between layers/,
    ],
    ['layers in another order', () => testDice(vendor, swapped), 'dice-layer-order', /layer 2 issued .* layer 1/],
    [
      'two certificates of one layer',
      () => testDice(vendor, layersWith(2, { layer: 1 })),
      'dice-layer-order',
      /layer 1 issued/,
    ],
    [
      'one layer that states no number',
      () => testDice(vendor, layersWith(1, { layer: undefined })),
      'dice-layer-order',
      /2 of 3 TcbInfos/,
    ],
    [
      'a DeviceID and nothing above it',
      async () => {
        const { chain, ...rest } = await testDice(vendor, testLayers.slice(0, 1));
        return { ...rest, chain, aliasKey: fixedKey(10) };
      },
      'dice-layer-missing',
      /one layer/,
    ],
    [
      "another device's DeviceID under a signing key of one's own",
      async () => {
        const own = await testDice(
          vendor,
          testLayers.map((layer) => ({ ...layer, scalar: layer.scalar + 50 })),
        );
        const [leaf] = own.chain;
        assert.ok(leaf !== undefined);
        return { ...own, chain: [leaf, ...device.chain.slice(1)] };
      },
      'dice-path-refused',
      /was not issued by the next certificate/,
    ],
    [
      "a signing key of one's own whose certificate names a genuine layer as its issuer",
      async () => {
        const [, layer] = device.chain;
        assert.ok(layer !== undefined);
        const forged = (made: CertificateTemplate) =>
          replacing(authorityKeyIdentifier(keyIdentifierOf(layer.spki)))({ ...made, issuer: layer.subject });
        const layers = layersWith(2, {}, forged).map((each) => ({ ...each, scalar: each.scalar + 50 }));
        const own = await testDice(vendor, layers);
        const [leaf] = own.chain;
        assert.ok(leaf !== undefined);
        return { ...own, chain: [leaf, ...device.chain.slice(1)] };
      },
      'dice-path-refused',
      /does not verify/,
    ],
  ];
  for (const [title, make, code, message] of cases) {
    test(`${title} is refused as ${code}`, async () => {
      const appraisal = appraise(await make());
      assert.equal(appraisal.status, 'contraindicated');
      assert.equal(appraisal.vector['instance-identity'], 99);
      assert.equal(appraisal.vector.hardware, undefined);
      assert.equal(appraisal.reasons[0]?.code, code);
      assert.match(appraisal.reasons.map((reason) => reason.message).join('; '), message);
      assert.equal(appraisal.dice, undefined);
    });
  }

  // SECURITY.md: DEV-15
  test("another device's whole chain is refused, though everything in it is genuine", async () => {
    const other = await testDice(
      vendor,
      testLayers.map((layer) => ({ ...layer, scalar: layer.scalar + 50 })),
    );
    const { reasons } = appraise(other, { key: { publicKey: device.deviceIdKey } });
    assert.deepEqual(
      reasons.map(({ code }) => code),
      ['dice-device-differs'],
    );
  });

  test('a statement signed by another key than the chain says is refused', () => {
    const evidence = testDiceEvidence({ chain: device.chain, aliasKey: fixedKey(99) }, qualifyingData, pcrs);
    assert.deepEqual(
      appraise(device, { evidence }).reasons.map(({ code }) => code),
      ['signature-invalid'],
    );
  });

  test('a replayed statement is refused', () => {
    const { reasons } = appraise(device, { expectedQualifyingData: new Uint8Array(32).fill(8) });
    assert.deepEqual(
      reasons.map(({ code }) => code),
      ['qualifying-data-mismatch'],
    );
  });

  test('DICE evidence of a TPM device, and software evidence of a DICE device, is a downgrade', () => {
    assert.equal(appraise(device, { tier: 'tpm' }).reasons[0]?.code, 'tier-mismatch');
    assert.equal(appraise(device, { tier: 'software' }).reasons[0]?.code, 'tier-mismatch');
    const { statement, signature, eventLog } = testDiceEvidence(device, qualifyingData, pcrs);
    const software = appraise(device, { evidence: { kind: 'software', statement, signature, eventLog } });
    assert.equal(software.reasons[0]?.code, 'tier-mismatch');
  });

  test('a critical TcbInfo is known, an unreadable one is broken input', async () => {
    const critical = layersWith(1, {}, (made) => ({
      ...made,
      extensions: made.extensions.map((extension) =>
        extension.oid === '2.23.133.5.4.1' ? { ...extension, critical: true } : extension,
      ),
    }));
    assert.equal(appraise(await testDice(vendor, critical)).status, 'affirming');
    const broken = layersWith(
      1,
      {},
      replacing({ oid: '2.23.133.5.4.1', critical: false, value: utf8('not a TcbInfo') }),
    );
    const found = await testDice(vendor, broken);
    assert.throws(
      () => appraise(found),
      (error: unknown) => error instanceof CoreError && error.code === 'der-invalid',
    );
  });

  test('names that are long or in foreign letters keep no refusal out of the attestation result', async () => {
    const subject = commonNameOnly('長い名前😀'.repeat(400));
    const { reasons, ...rest } = appraise(
      await testDice(
        vendor,
        testLayers.map((layer) => ({
          ...layer,
          change: (made: CertificateTemplate) => ({
            ...made,
            ...(layer.scalar === 12 ? { subject } : {}),
            notAfterSeconds: testSeconds - 1,
          }),
        })),
      ),
    );
    assert.ok(reasons.length >= 3);
    assert.ok(reasons.every(({ message }) => /^[\x20-\x7e]{1,400}$/.test(message)));
    const context = {
      issuedAt: testSeconds,
      verifier: { developer: 'test', build: '1' },
      nonce: new Uint8Array(32),
      subject: 'dice-1',
      policyId: 'none',
    };
    const signer = signerFromKey(fixedKey(5));
    assert.ok(
      (await signAttestationResult(attestationResultOf({ ...rest, reasons }, context), signer, 'k')).length > 0,
    );
  });

  test('layers that state no number are counted from the DeviceID', async () => {
    const silent = testLayers.map((layer) => ({ ...layer, tcbInfo: { ...layer.tcbInfo, layer: undefined } }));
    assert.equal(appraise(await testDice(vendor, silent)).status, 'affirming');
  });

  test('several TcbInfos of one certificate are compared one by one', async () => {
    const [first, second] = [fwidOf('c'), fwidOf('e')];
    const infos = [
      { layer: 2, svn: 7, vendor: 'Example', model: 'M1', fwids: [first] },
      { layer: 2, fwids: [second] },
    ];
    const change = (made: CertificateTemplate) => replacing(multiTcbInfoExtension(infos))(bare(made));
    const found = await testDice(vendor, layersWith(2, {}, change));
    assert.deepEqual(
      appraise(found).reasons.map(({ code }) => code),
      ['dice-layer-unexpected'],
    );
    const [zero, one, two] = referenceLayers();
    assert.ok(zero !== undefined && one !== undefined && two !== undefined);
    const wanted = [zero, one, two, { layer: 2, index: 1, name: 'configuration', fwids: [[fwidText(second)]] }];
    assert.equal(appraise(found, { referenceValues: [setOf(wanted)] }).status, 'affirming');
  });
});

test('a set with events too compares what software measured after the layers', () => {
  const event = { pcr: 14, name: 'agent', eventType: 13, digests: ['11'.repeat(32)] };
  const both = { ...healthy, events: [event] };
  const { status, vector, reasons } = appraise(device, { referenceValues: [both] });
  assert.deepEqual([status, vector.executables, reasons[0]?.code], ['contraindicated', 96, 'event-missing']);
  assert.equal(appraise(device, { referenceValues: [both, healthy] }).status, 'affirming');
});

describe('reference values of layers', () => {
  const document = (layers: readonly object[]) => {
    const values = JSON.parse(Buffer.from(encodeReferenceValues(healthy)).toString());
    return utf8(JSON.stringify({ ...values, layers }));
  };
  test('they survive their own encoding', () => {
    assert.deepEqual(parseReferenceValues(encodeReferenceValues(healthy)), healthy);
  });
  test('a set that constrains nothing, or says one thing twice, is refused', () => {
    const layer = { fwids: [[fwidText(fwidOf('a'))]], layer: 0, name: 'a' };
    assert.equal(parseReferenceValues(document([layer])).layers?.length, 1);
    const wrong: readonly (readonly object[])[] = [
      [],
      [{ ...layer, fwids: [] }],
      [{ ...layer, fwids: [[]] }],
      [layer, layer],
      [{ ...layer, layer: 1 }, layer],
      [{ ...layer, fwids: [['sha1:00']] }],
      [{ ...layer, fwids: [['sha256:AA']] }],
      [{ ...layer, flagsAllowed: ['everything'] }],
      [{ ...layer, svnLeast: -1 }],
      [{ ...layer, optional: true }],
    ];
    for (const layers of wrong) {
      assert.throws(
        () => parseReferenceValues(document(layers)),
        (error: unknown) =>
          error instanceof CoreError && /reference-values-invalid|json-not-canonical/.test(error.code),
        JSON.stringify(layers),
      );
    }
  });
  test('a set of layers alone accepts no device of another tier', () => {
    const privateKey = fixedKey(3);
    const values = new Map(pcrs.map((pcr) => [pcr, new Uint8Array(32)]));
    const statement = encodeSoftwareStatement({ qualifyingData, pcrs: values });
    const signature = sign('sha256', signedStatement({ kind: 'software', statement }), privateKey);
    const { status, vector, reasons } = appraise(device, {
      evidence: { kind: 'software', statement, signature, eventLog: encodeEventLogHeader() },
      key: { publicKey: createPublicKey(privateKey) },
      tier: 'software',
    });
    assert.deepEqual([status, vector.executables], ['warning', undefined]);
    assert.ok(reasons.some(({ code }) => code === 'reference-values-missing'));
  });
});
