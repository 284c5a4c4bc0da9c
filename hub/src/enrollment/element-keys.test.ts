// Which tier an IDevID gives a secure element: that of its keys, if its manufacturer certified both beside it; `software` otherwise.
import assert from 'node:assert/strict';
import { createPublicKey, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { idevidProofMessage } from '@edgekeep/core/attest/idevid-proof';
import { fixedKey } from '@edgekeep/core/attest/testing';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { elementKeyProfile, type ElementKeyUsage } from '@edgekeep/core/identity/idevid';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import {
  manufacturedSeconds,
  newSigner,
  testHardwareType,
  testManufacturer,
} from '@edgekeep/core/identity/testing-manufacturer';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { groupTerms } from '@edgekeep/wire/api/enrollment-group';
import { testKeyDevice } from '../attest/testing-device.ts';
import { recordAppraisal } from '../attest/appraiser.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { getDevice } from '../registry/states.ts';
import { createEnrollmentGroup } from './groups.ts';
import {
  by,
  type Enrollment,
  type EnrollmentHub,
  enrollWith,
  nowMs,
  openEnrollmentHub,
  wipe,
} from './testing-enrollment.ts';

const works = await testManufacturer();
const lock = testKeyDevice('sn-1', 1, 'secure-element');
const idevidKey = newSigner();
assert.ok(lock.identity.kind === 'secure-element');
const signing = parseBase64url(lock.identity.signingKey, 'signingKey');
const agreement = encodeSpki(createPublicKey(fixedKey(3_000_001)));
const chain = await works.issue(encodeSpki(idevidKey.publicKey), { serialNumber: 'SN-1' });

/** A certificate of a key beside the IDevID. */
async function beside(
  spki: Uint8Array,
  usage: ElementKeyUsage,
  change: { readonly serialNumber?: string; readonly hardwareType?: string; readonly issuer?: typeof works } = {},
): Promise<Uint8Array> {
  const { issuer = works, ...of } = change;
  const input = { spki, serialRandom: randomBytes(16), notBeforeSeconds: manufacturedSeconds };
  const subject = { serialNumber: 'SN-1', hardwareType: testHardwareType, ...of };
  return issueCertificate(elementKeyProfile(input, issuer.issuing, subject, usage), issuer.issuingSigner);
}
const ofSigning = await beside(signing, 'digitalSignature');
const ofAgreement = await beside(agreement, 'keyAgreement');

async function hubOfWorks(terms: object = {}): Promise<EnrollmentHub> {
  const hub = await openEnrollmentHub();
  const certificate = encodePem('CERTIFICATE', works.root.der);
  const order = { name: 'works', kind: 'ca', description: '', groups: [], certificate, ...by } as const;
  await createEnrollmentGroup(hub.database, { ...order, terms: groupTerms.parse(terms) });
  return hub;
}

/** Enrolls with the IDevID and these certificates beside it. */
function enroll(
  hub: EnrollmentHub,
  sent: readonly Uint8Array[],
  { answer = () => ({}), ...change }: Enrollment = {},
  signer: Signer = idevidKey,
  idevid: readonly Uint8Array[] = chain,
): Promise<Certificate> {
  return enrollWith(hub, lock, {
    idevid: { chain: [...idevid, ...sent].map(toBase64url) },
    answer: async (honest, nonce) => {
      const operationalSpki = parseCertificateRequest(honest.certificateRequest).spki;
      const subject = { use: 'enroll', nonce, operationalSpki, deviceId: lock.id, identity: lock.identity } as const;
      const signature = toBase64url(await signer.sign(idevidProofMessage(subject)));
      return { idevidProof: { signature }, ...(await answer(honest, nonce)) };
    },
    ...change,
  });
}
async function tierOf({ database }: EnrollmentHub): Promise<string> {
  return (await database.read.selectFrom('device').select('tier').executeTakeFirstOrThrow()).tier;
}

// SECURITY.md: DEV-60
test('one signature of an IDevID does not make hardware of two keys that nobody certified beside it', async () => {
  const others: Readonly<Record<string, readonly Uint8Array[]>> = {
    'nothing beside it': [],
    'the signing key alone': [ofSigning],
    'the agreement key alone': [ofAgreement],
    'other keys': [await beside(encodeSpki(newSigner().publicKey), 'digitalSignature'), ofAgreement],
    'the keys with each other’s usage': [
      await beside(signing, 'keyAgreement'),
      await beside(agreement, 'digitalSignature'),
    ],
    'another serial number': [ofSigning, await beside(agreement, 'keyAgreement', { serialNumber: 'SN-2' })],
    'other hardware': [ofSigning, await beside(agreement, 'keyAgreement', { hardwareType: '1.3.6.1.4.1.32473.2' })],
    'another manufacturer': [
      ofSigning,
      await beside(agreement, 'keyAgreement', { issuer: await testManufacturer('Other Works') }),
    ],
  };
  for (const [what, sent] of Object.entries(others)) {
    await using hub = await hubOfWorks();
    await enroll(hub, sent);
    assert.equal(await tierOf(hub), 'software', what);
  }
});

test('keys that the manufacturer certified beside the IDevID are in its element', async () => {
  await using hub = await hubOfWorks();
  await enroll(hub, [ofSigning, ofAgreement]);
  assert.equal(await tierOf(hub), 'secure-element');
});

test('an IDevID whose own key signs the evidence needs the agreement key certified alone', async () => {
  const own = signerFromKey(fixedKey(2_000_001));
  const idevid = await works.issue(signing, { serialNumber: 'SN-1' });
  await using hub = await hubOfWorks();
  await enroll(hub, [ofAgreement], {}, own, idevid);
  assert.equal(await tierOf(hub), 'secure-element');
  await using without = await hubOfWorks();
  await enroll(without, [], {}, own, idevid);
  assert.equal(await tierOf(without), 'software');
});

// SECURITY.md: DEV-60
test('the agreement key is at hand: a device that does not open the hub’s secret is refused', async () => {
  await using hub = await hubOfWorks();
  for (const agreementSecret of [undefined, new Uint8Array(32)]) {
    const refused = enroll(hub, [ofSigning, ofAgreement], { answer: () => ({ agreementSecret }) });
    assert.equal(await refusalOf(refused), 'enrollment-refused: agreement-key-not-possessed');
  }
});

// SECURITY.md: DEV-60
test('a group for secure elements takes none whose keys nobody certified; an operator’s token for the tier vouches for them', async () => {
  await using hub = await hubOfWorks({ tier: 'secure-element' });
  assert.equal(await refusalOf(enroll(hub, [])), 'enrollment-refused: tier-not-allowed');
  await using open = await hubOfWorks();
  await enroll(open, [], { token: await open.token() });
  assert.equal(await tierOf(open), 'software');
  await using vouched = await hubOfWorks();
  const token = await vouched.token({ tier: 'secure-element' });
  const wrong = enroll(vouched, [], { token, answer: () => ({ agreementSecret: new Uint8Array(32) }) });
  assert.equal(await refusalOf(wrong), 'enrollment-refused: agreement-key-not-possessed');
  // An agent of the version before does not prove its agreement key.
  await enroll(vouched, [], { token, answer: () => ({ agreementSecret: undefined }) });
  assert.equal(await tierOf(vouched), 'secure-element');
});

// SECURITY.md: DEV-60
test('an element whose tier nobody vouched for, from before there was this rule, raises an alert with each attestation until it enrolls again', async () => {
  await using hub = await hubOfWorks();
  await enroll(hub, [ofSigning, ofAgreement]);
  const { database, parts } = hub;
  const alerts = async () =>
    (await database.read.selectFrom('alert').select(['kind', 'state', 'count']).execute()).map(
      ({ kind, state, count }) => `${kind} ${state} ${count}`,
    );
  const attest = async () => {
    const device = await getDevice(database.read, lock.id);
    const nonce = new Uint8Array(32);
    const expected = { qualifyingData: nonce, nonce, askedMs: nowMs, nowMs };
    const { appraisal } = await parts.appraiser.appraise(device, lock.evidence({ qualifyingData: nonce }), expected);
    await database.write((trx) => recordAppraisal(trx, lock.id, appraisal, nowMs));
  };
  const vouched = async () => (await getDevice(database.read, lock.id)).tier_vouched;
  await attest();
  assert.deepEqual([await vouched(), await alerts()], ['manufacturer', []]);
  await database.write((trx) => trx.updateTable('device').set({ tier_vouched: null }).execute());
  await attest();
  await attest();
  assert.deepEqual(await alerts(), ['tier-not-vouched open 2']);
  await wipe(hub, lock.id);
  const token = await hub.token({ deviceId: lock.id, tier: 'secure-element', nowMs: nowMs + 1 });
  await enroll(hub, [], { token, atMs: nowMs + 2 });
  await attest();
  assert.deepEqual([await vouched(), await alerts()], ['token', ['tier-not-vouched closed 2']]);
});
