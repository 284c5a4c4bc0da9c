// Releases and leases as a hub sends them: what the device accepts, and what it refuses from any hub.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { boundWrapType } from '@edgekeep/core/access/wrap-context';
import { encodeReceipt } from '@edgekeep/core/access/receipt';
import { testLongReceipt, testRelease } from '@edgekeep/core/access/testing-long-receipt';
import { releasedAtMs, testPublisher, testReceiptParts, testTrust } from '@edgekeep/core/access/testing-receipt';
import { toBase64url } from '@edgekeep/core/bytes';
import { parseManifest } from '@edgekeep/core/model/manifest';
import { checkedGrant, clockFault } from './lease.ts';
import { verifiedModel } from './model.ts';
import { testOffer } from './testing-offer.ts';

const parts = await testReceiptParts();
const guarded = { name: 'surface', use: 'guard' } as const;
const offered = testOffer(parts);
const keys = [testPublisher.publicKey];
const model = verifiedModel(offered, guarded, keys);
const seconds = releasedAtMs / 1_000;
const lease = {
  id: 'AAECAwQFBgcICQoLDA0ODw',
  deviceId: 'press-7',
  model: 'surface',
  version: '1.2.0',
  manifestDigest: offered.manifestDigest,
  notBefore: seconds,
  renewAfter: seconds + 1_800,
  notAfter: seconds + 3_600,
};
const long = await testLongReceipt();
const shown = long.evidence;
const answer = {
  lease,
  wrappedKey: { kind: 'hpke', encapsulatedKey: '', ciphertext: '' },
  attestationResult: parts.attestationResult,
  receipt: toBase64url(encodeReceipt(parts)),
} as const;
type Sent = Parameters<typeof checkedGrant>[2];
const grantAt = (ms: number, sent: Sent['answer'] = answer, deviceId = 'press-7', wraps?: Sent['wraps']) =>
  checkedGrant({ deviceId, trust: testTrust(0) }, model, { answer: sent, wraps, shown }, { wallMs: ms, elapsedMs: 0 });

test('a release that a trusted publisher signed is verified, with the files for its use', () => {
  assert.deepEqual([model.version, model.use, model.digestHex], ['1.2.0', 'guard', offered.manifestDigest]);
  assert.deepEqual(
    model.files.map(({ path, sealedSize }) => [path, sealedSize]),
    [['model.onnx', 111]],
  );
});

test('a release that is not exactly what the publisher signed is refused', () => {
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
  const manifest = Buffer.from(parts.manifest);
  manifest[manifest.length - 10] = (manifest[manifest.length - 10] ?? 0) ^ 1;
  const [file] = offered.files;
  const wrong: readonly (readonly [string, () => unknown])[] = [
    ['another key', () => verifiedModel(offered, guarded, [stranger])],
    ['no key at all', () => verifiedModel(offered, guarded, [])],
    ['a changed manifest', () => verifiedModel({ ...offered, manifest: toBase64url(manifest) }, guarded, keys)],
    ['another name', () => verifiedModel(offered, { ...guarded, name: 'other' }, keys)],
    ['another version', () => verifiedModel({ ...offered, version: '1.3.0' }, guarded, keys)],
    ['a missing file', () => verifiedModel({ ...offered, files: [] }, guarded, keys)],
    [
      'a file that would fill the disk',
      () =>
        verifiedModel(
          { ...offered, files: [{ ...file, path: 'model.onnx', sealedSize: 1e12, sealedSha256: '' }] },
          guarded,
          keys,
        ),
    ],
  ];
  for (const [what, verify] of wrong) assert.throws(verify, { code: 'model-refused' }, what);
});

test('a lease with its receipt is accepted, also when the clocks differ a little', () => {
  for (const ms of [releasedAtMs, releasedAtMs - 200_000, releasedAtMs + 3_599_000]) {
    assert.equal(grantAt(ms).lease.id, lease.id);
  }
});

// SECURITY.md: NET-05
test('a lease that is about something else, or over, or that the log does not prove, is refused', async () => {
  const renamed = await testReceiptParts({ manifest: { version: '1.2.1' } });
  const otherLease = { ...lease, id: 'AAECAwQFBgcICQoLDA0ODx' };
  const receipt = Buffer.from(encodeReceipt(parts));
  const changed = Buffer.from(receipt.toString().replace('"proof":"c2sp', '"proof":"C2sp'));
  const wrong: readonly (readonly [string, () => unknown])[] = [
    ['another device', () => grantAt(releasedAtMs, answer, 'press-8')],
    ['another version', () => grantAt(releasedAtMs, { ...answer, lease: { ...lease, version: '1.3.0' } })],
    [
      'another manifest',
      () => grantAt(releasedAtMs, { ...answer, lease: { ...lease, manifestDigest: '00'.repeat(32) } }),
    ],
    ['over', () => grantAt(releasedAtMs + 3_600_000)],
    ['not begun', () => grantAt(releasedAtMs - 400_000)],
    ['a damaged receipt', () => grantAt(releasedAtMs, { ...answer, receipt: toBase64url(changed) })],
    ['the receipt of another lease', () => grantAt(releasedAtMs, { ...answer, lease: otherLease })],
    [
      'the receipt of another model',
      () => grantAt(releasedAtMs, { ...answer, receipt: toBase64url(encodeReceipt(renamed)) }),
    ],
  ];
  for (const [what, check] of wrong) assert.throws(check, { code: 'lease-refused' }, what);
});

// SECURITY.md: DEV-62
test('a hub that offers bound keys gives no key in the form before, nor another form than was asked for', () => {
  const wrappedKey = { ...answer.wrappedKey, type: boundWrapType } as const;
  const granted = grantAt(releasedAtMs, { ...answer, wrappedKey }, 'press-7', [boundWrapType]);
  assert.deepEqual(granted.context, { purpose: 'model key', lease });
  assert.throws(() => grantAt(releasedAtMs, answer, 'press-7', [boundWrapType]), { code: 'lease-refused' });
  assert.throws(() => grantAt(releasedAtMs, { ...answer, wrappedKey }), { code: 'lease-refused' });
  assert.throws(() => grantAt(releasedAtMs, { ...answer, wrappedKey }, 'press-7', ['another']), {
    code: 'lease-refused',
  });
});

// SECURITY.md: HUB-67
test('a receipt that rests on other evidence than this device showed is refused; one of the version before names none', () => {
  const resting = { ...answer, attestationResult: 'unused', receipt: toBase64url(long.receipt) };
  assert.equal(grantAt(releasedAtMs, resting).lease.id, lease.id);
  const begun = { wallMs: releasedAtMs, elapsedMs: 0 };
  const other = { ...testRelease(), eventLog: new Uint8Array(1) };
  assert.throws(
    () =>
      checkedGrant(
        { deviceId: 'press-7', trust: testTrust(0) },
        model,
        { answer: resting, wraps: undefined, shown: other },
        begun,
      ),
    {
      code: 'lease-refused',
      message: /other evidence/,
    },
  );
  assert.equal(grantAt(releasedAtMs).lease.id, lease.id);
});

test('the manifest that the receipt names is the one that runs', () => {
  assert.equal(parseManifest(model.manifestBytes).version, lease.version);
});

test('no key is asked for by a clock for which the lease would be refused', () => {
  const hourMs = 3_600_000;
  assert.equal(clockFault(undefined, hourMs), undefined);
  assert.equal(clockFault(45 * 60_000, hourMs), undefined);
  assert.equal(clockFault(-299_000, hourMs), undefined);
  assert.equal(clockFault(10 * 24 * hourMs, undefined), undefined);
  assert.equal(clockFault(10 * 24 * hourMs, hourMs)?.code, 'clock-ahead');
  assert.equal(clockFault(-301_000, undefined)?.code, 'clock-behind');
});
