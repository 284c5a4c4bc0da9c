import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { appraiseEndorsement, type EndorsementOrder } from './endorsement-appraisal.ts';
import { basicConstraints, keyUsage } from './extensions.ts';
import { keyPurposeOid } from './oid.ts';
import { encodeSpki } from './public-key.ts';
import { type EndorsementChanges, testEndorsement } from './testing-endorsement.ts';
import { testIssuing, testRoot } from './testing-roots.ts';

const now = 1_800_000_000;
const year = 365 * 86_400;
const period = { notBeforeSeconds: now - year, notAfterSeconds: now + year };
const root = await testRoot(period, 'Maker root');
const issuing = await testIssuing(root, period);
const ended = await testIssuing(root, { notBeforeSeconds: now - year, notAfterSeconds: now - 1 });
const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const spki = encodeSpki(publicKey);
const endorsement = await testEndorsement(spki, issuing, period);

function appraise(order: Partial<EndorsementOrder> = {}): string {
  const verdict = appraiseEndorsement({
    certificates: [endorsement.der],
    anchors: [root.certificate],
    intermediates: [issuing.certificate, ended.certificate],
    judgedAt: 'now',
    nowSeconds: now,
    key: publicKey,
    ...order,
  });
  if (verdict.kind === 'valid') return 'valid';
  const [reason] = verdict.reasons;
  return `${reason?.code}: ${reason?.message}`;
}
const spoiled = async (changes: EndorsementChanges) => {
  const { der } = await testEndorsement(spki, issuing, period, changes);
  return appraise({ certificates: [der] });
};

test('a certificate of the key that was shown, on a path to a maker that is trusted, is good', () => {
  assert.equal(appraise(), 'valid');
  assert.equal(appraise({ key: undefined }), 'valid');
  assert.equal(appraise({ certificates: [endorsement.der, issuing.certificate.der], intermediates: [] }), 'valid');
});

test('a certificate of another key, and none at all, vouch for nothing', () => {
  assert.match(appraise({ key: other }), /^endorsement-key-differs/);
  assert.match(appraise({ certificates: [] }), /^endorsement-certificate-missing/);
  assert.match(appraise({ certificates: [endorsement.der.subarray(1)] }), /^endorsement-unreadable/);
});

test('a certificate whose maker nobody trusts, or whose issuer is not there, is refused', async () => {
  const stranger = await testRoot(period, 'Maker root');
  assert.match(appraise({ anchors: [stranger.certificate] }), /^endorsement-refused/);
  assert.match(appraise({ intermediates: [] }), /^endorsement-refused/);
});

test('the certificate itself has to be valid now, and at issuance only its chain is judged then', async () => {
  const old = await testEndorsement(spki, issuing, { notBeforeSeconds: now - year, notAfterSeconds: now - 1 });
  for (const judgedAt of ['now', 'issuance'] as const)
    assert.match(appraise({ certificates: [old.der], judgedAt }), /^endorsement-refused: .*"CN=EK" expired/);
  const later = { notBeforeSeconds: now + 1, notAfterSeconds: now + year };
  const early = await testEndorsement(spki, issuing, later);
  assert.match(
    appraise({ certificates: [early.der], judgedAt: 'issuance' }),
    /^endorsement-refused: .*not valid before/,
  );
  const byEnded = await testEndorsement(spki, ended, { ...period, notBeforeSeconds: now - 10 });
  assert.match(appraise({ certificates: [byEnded.der] }), /^endorsement-refused: .*issuing CA" expired/);
  assert.equal(appraise({ certificates: [byEnded.der], judgedAt: 'issuance' }), 'valid');
});

test('a certificate that is not one of an endorsement key is refused, also from a trusted issuer', async () => {
  assert.match(await spoiled({ purpose: keyPurposeOid.clientAuth }), /^endorsement-refused: .*extended key usage/);
  assert.match(await spoiled({ usage: keyUsage('digitalSignature') }), /^endorsement-refused: .*key usage lacks/);
  assert.match(await spoiled({ usage: keyUsage('keyEncipherment') }), /^endorsement-refused: .*lacks keyAgreement/);
  assert.match(await spoiled({ basic: basicConstraints(true) }), /^endorsement-refused: .*authority/);
  assert.match(await spoiled({ manufacturer: 'IBM' }), /^endorsement-refused: .*manufacturer/);
});
