import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { appraiseEvidence } from '../attest/appraise.ts';
import { testDice, testDiceEvidence, testVendor } from '../attest/dice/testing.ts';
import { qualifyingData } from '../attest/qualifying-data.ts';
import { cryptoAgileLog, fixedKey, testAttester, uefiBoot } from '../attest/testing.ts';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { indexCertificates } from '../identity/certificate-index.ts';
import { encodeSizedPublic } from '../tpm/public-area.ts';
import { type ReleasePolicy, releasePolicyDigest } from '../model/release-policy.ts';
import type { MakerRoots } from './evidence-origin.ts';
import {
  encodeLongReceipt,
  isLongReceipt,
  LONG_RECEIPT_BYTES_MAX,
  type LongReceiptContent,
  verifyLongReceipt,
} from './long-receipt.ts';
import { encodeReceipt, verifyReceipt } from './receipt.ts';
import { notProven } from './receipt-limits.ts';
import { releaseEvidenceOf } from './release-evidence.ts';
import { testLongReceipt, testMakers, testOrigin, testRelease } from './testing-long-receipt.ts';
import { releasedAtMs, testReceiptParts, testTrust } from './testing-receipt.ts';

const parts = await testLongReceipt();
const good = encodeLongReceipt(parts);

test('a long receipt proves the boot by the quote, and the TPM by its maker', () => {
  assert.equal(isLongReceipt(good), true);
  assert.equal(isLongReceipt(parts.receipt), false);
  const verdict = verifyLongReceipt(good, testTrust(2), testMakers);
  if (verdict.kind !== 'verified') assert.fail(verdict.reasons.join('; '));
  const { version, evidence } = verdict.summary;
  assert.equal(version, 2);
  assert.equal(evidence.eventLogBytes, parts.evidence.eventLog.length);
  assert.ok(evidence.origin.kind === 'verified');
  assert.match(evidence.origin.maker?.root ?? '', /Maker root/);
  assert.equal(evidence.origin.maker?.tpm?.model, 'test');
});

test('the short form of version 2 verifies alone, and names the attestation key and the endorsement certificate', () => {
  const verdict = verifyReceipt(parts.receipt, testTrust(2));
  if (verdict.kind !== 'verified') assert.fail(verdict.reasons.join('; '));
  assert.deepEqual(verdict.summary.release.evidence, releaseEvidenceOf(parts.evidence, parts.origin));
});

test('without makers’ roots the maker is not verified, and that is said', () => {
  const verdict = verifyLongReceipt(good, testTrust(2));
  if (verdict.kind !== 'verified') assert.fail(verdict.reasons.join('; '));
  assert.equal(verdict.summary.evidence.origin.kind, 'not-asked');
  assert.match(notProven(verdict.summary).join('\n'), /that a maker made this hardware/);
});

// SECURITY.md: DEV-78
test('the maker that an entry names for the publisher is one that certified the device', async () => {
  const [authority] = verifiedAuthorities();
  const long = async (maker: string) => {
    const releasePolicy: ReleasePolicy = { tiers: ['tpm'], makers: [maker] };
    const named = { digest: releasePolicyDigest(releasePolicy), maker };
    const manifest = { type: 'edgekeep-model-manifest/v2', releasePolicy } as const;
    return testLongReceipt({
      manifest,
      release: { releasePolicy: named, evidence: releaseEvidenceOf(parts.evidence, parts.origin) },
    });
  };
  const honest = verifyLongReceipt(encodeLongReceipt(await long(authority ?? '')), testTrust(2), testMakers);
  if (honest.kind !== 'verified') assert.fail(honest.reasons.join('; '));
  assert.ok(!notProven(honest.summary).join('\n').includes('the publisher names'));
  refusedWith(await long('cd'.repeat(32)), testMakers, /publisher: the maker in the entry/);
  const unshown = verifyLongReceipt(encodeLongReceipt(await long(authority ?? '')), testTrust(2));
  if (unshown.kind !== 'verified') assert.fail(unshown.reasons.join('; '));
  assert.match(notProven(unshown.summary).join('\n'), /which the publisher names/);
});

function verifiedAuthorities(): readonly string[] {
  const verdict = verifyLongReceipt(good, testTrust(2), testMakers);
  if (verdict.kind !== 'verified' || verdict.summary.evidence.origin.kind !== 'verified') return [];
  return verdict.summary.evidence.origin.maker?.authorities ?? [];
}

// SECURITY.md: HUB-67
test('a long receipt is refused when its evidence is not what the hub signed and logged', async (t) => {
  const other = testAttester(fixedKey(73));
  const otherKey = { ...testOrigin, attestationKey: encodeSizedPublic(other.publicArea) } as const;
  const eventLog = cryptoAgileLog(uefiBoot.slice(0, -1));
  const earlier = testRelease(new Uint8Array(32));
  const cases: readonly (readonly [string, LongReceiptContent, RegExp])[] = [
    ['another event log', { ...parts, evidence: { ...testRelease(), eventLog } }, /not the evidence that was logged/],
    ['another attestation key', { ...parts, origin: otherKey }, /not the evidence that was logged/],
    ['another connection', { ...parts, exporter: new Uint8Array(32) }, /qualifying data/],
    ['a hub that logged a log the quote does not cover', await shortLog(), /the log is not what was measured/],
    ['a hub that logged an old quote', await testLongReceipt({}, earlier), /qualifying data/],
    ['a hub that signed another boot', await testLongReceipt({ result: { pcrDigest: 'cd'.repeat(32) } }), /PCR digest/],
    ['a hub that signed another reset count', await testLongReceipt({ result: { resetCount: 5 } }), /reset count/],
    ['a hub that logged a key that did not sign', await testLongReceipt({}, testRelease(), otherKey), /signature/],
  ];
  for (const [name, changed, reason] of cases) {
    await t.test(name, () => refusedWith(changed, testMakers, reason));
  }
});

// SECURITY.md: HUB-67
test('a long receipt is refused when the TPM is of no maker that the reader trusts', async (t) => {
  const none: MakerRoots = { ...testMakers, tpm: { anchors: indexCertificates([]), intermediates: [] } };
  await t.test('another maker', () => refusedWith(parts, none, /^maker: /));
  await t.test('the intermediate left out', () => {
    const [endorsement = new Uint8Array(0)] = testOrigin.kind === 'tpm' ? testOrigin.certificates : [];
    const origin = { ...testOrigin, certificates: [endorsement] };
    refusedWith({ ...parts, origin }, testMakers, /^maker: /);
  });
});

test('a long receipt that is cut, too large, not canonical or holds a receipt of version 1 is broken input', async () => {
  const former = encodeReceipt(await testReceiptParts());
  const broken: readonly Uint8Array[] = [
    good.subarray(0, good.length - 1),
    Buffer.concat([good, utf8('\n')]),
    Buffer.alloc(LONG_RECEIPT_BYTES_MAX + 1, 0x20),
    encodeLongReceipt({ ...parts, receipt: former }),
    encodeLongReceipt({ ...parts, exporter: new Uint8Array(31) }),
    utf8(Buffer.from(good).toString().replace('long-receipt/v2', 'long-receipt/v3')),
  ];
  for (const bytes of broken) assert.throws(() => verifyLongReceipt(bytes, testTrust(2), testMakers), CoreError);
});

test('a receipt says the version that its entry has', () => {
  const text = Buffer.from(parts.receipt).toString();
  const former = utf8(text.replace('release-receipt/v2', 'release-receipt/v1'));
  assert.throws(() => verifyReceipt(former, testTrust(2)), { code: 'receipt-invalid', message: /version 1/ });
  const later = utf8(text.replace('release-receipt/v2', 'release-receipt/v3'));
  assert.throws(() => verifyReceipt(later, testTrust(2)), { code: 'receipt-invalid' });
});

test('no changed byte of a long receipt goes unnoticed', () => {
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Uint8Array.from(good);
      changed[at] = (changed[at] ?? 0) ^ flip;
      assert.equal(kindOf(changed), 'not verified');
    }),
    { numRuns: 200 },
  );
});

async function shortLog(): Promise<LongReceiptContent> {
  return testLongReceipt({}, { ...testRelease(), eventLog: cryptoAgileLog(uefiBoot.slice(0, -1)) });
}

function refusedWith(changed: LongReceiptContent, makers: MakerRoots, reason: RegExp): void {
  const verdict = verifyLongReceipt(encodeLongReceipt(changed), testTrust(2), makers);
  assert.equal(verdict.kind, 'refused');
  if (verdict.kind === 'refused') assert.match(verdict.reasons.join('\n'), reason);
}

function kindOf(bytes: Uint8Array): 'verified' | 'not verified' {
  try {
    return verifyLongReceipt(bytes, testTrust(2), testMakers).kind === 'verified' ? 'verified' : 'not verified';
  } catch (error) {
    assert.ok(error instanceof CoreError, String(error));
    return 'not verified';
  }
}

// SECURITY.md: HUB-67
test('a long receipt of a DICE device is verified by its chain up to the maker, and not without one', async () => {
  const vendor = await testVendor();
  const dice = await testDice(vendor);
  const pcrs = [0, 7];
  const nonce = Buffer.alloc(32, 9);
  const data = qualifyingData('release', nonce, parts.exporter);
  const evidence = testDiceEvidence(dice, data, pcrs);
  const origin = { kind: 'dice', certificates: dice.chain.slice(2).map(({ der }) => der) } as const;
  const roots = { ...testMakers, dice: { anchors: [vendor.root], intermediates: [] } };
  const { pcrDigest, dice: facts } = appraiseEvidence({
    evidence,
    key: { publicKey: dice.deviceIdKey },
    tier: 'dice',
    expectedQualifyingData: data,
    pcrSelection: pcrs,
    referenceValues: [],
    dice: { trust: roots.dice, atSeconds: releasedAtMs / 1_000 },
  });
  const device = { id: 'press-7', tier: 'dice', certificate: '11'.repeat(32) } as const;
  const result = { tier: 'dice', nonce, pcrs, pcrDigest, resetCount: 0, layers: facts?.layers ?? [] } as const;
  const made = async (layers = result.layers) => {
    const named = releaseEvidenceOf(evidence, origin);
    const changes = { release: { device, ...(named && { evidence: named }) }, result: { ...result, layers } };
    const { manifest, modelSignature, ...rest } = await testReceiptParts(changes);
    const model = { manifest, modelSignature };
    const receipt = encodeReceipt({ ...rest, ...model });
    return encodeLongReceipt({ receipt, evidence, exporter: parts.exporter, origin, model });
  };
  const verdict = verifyLongReceipt(await made(), testTrust(2), roots);
  assert.ok(verdict.kind === 'verified', JSON.stringify(verdict));
  const reasons = (bytes: Uint8Array, known?: MakerRoots) => {
    const refused = verifyLongReceipt(bytes, testTrust(2), known);
    return refused.kind === 'refused' ? refused.reasons.join('; ') : 'verified';
  };
  assert.match(reasons(await made()), /^maker: .*give them/);
  assert.match(reasons(await made(), testMakers), /^evidence: /);
  assert.match(reasons(await made(result.layers.slice(1)), roots), /other layers/);
});
