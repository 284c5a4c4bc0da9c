// How the hub appraises evidence and applies the result: the device, the reference values of the comparison, and the effects on the device.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import { encodeImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { encodeSizedPublic, objectAttributes, parsePublic } from '@edgekeep/core/tpm/public-area';
import { verifyAttestationResult } from '@edgekeep/core/attest/ear';
import { fixedKey, uefiBoot } from '@edgekeep/core/attest/testing';
import { signerFromKey } from '@edgekeep/core/signer';
import { signDocument, trustTestPublisher } from '../publisher/testing-publisher.ts';
import type { DeviceRow, DeviceState } from '../store/tables/registry.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { isAuthentic, recordAppraisal, untilReferencesStay } from './appraiser.ts';
import { ReferenceStore } from './reference-store.ts';
import { testAppraiser } from './testing-appraiser.ts';
import { type TestBoot, testKeyDevice, testReferences, testTpmDevice, testAttestation } from './testing-device.ts';

const nowMs = 1_800_000_000_000;
const by = { actor: 'person:ada/desk', nowMs };
const qualifyingData = new Uint8Array(32).fill(1);
const otherData = new Uint8Array(32).fill(2);
const press = testTpmDevice('press-1', 1);
const stranger = fixedKey(99);
const signer = signerFromKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);

async function hubOver({ database }: Pick<TestStore, 'database'>, coveredPcrs: readonly number[] = []) {
  await trustTestPublisher(database);
  const references = new ReferenceStore(database, testAttestation, () => nowMs);
  const publish = async (version: string, events = uefiBoot) => {
    const document = testReferences(version, events);
    return references.publish({ document, signature: await signDocument(document), ...by });
  };
  const settings = { ...testAttestation, attestation: { ...testAttestation.attestation, coveredPcrs } };
  const appraiser = testAppraiser(database, references, { signer, settings });
  const appraise = (row: DeviceRow, boot: Partial<TestBoot> = {}, device = press) =>
    appraiser.appraise(row, device.evidence({ qualifyingData, ...boot }), {
      qualifyingData,
      nonce: qualifyingData,
      nowMs,
    });
  const add = (changes: Partial<DeviceRow> = {}) =>
    database.write((trx) =>
      trx
        .insertInto('device')
        .values({ ...press.row, ...changes })
        .execute(),
    );
  const record = (appraisal: Appraisal) => database.write((trx) => recordAppraisal(trx, press.id, appraisal, nowMs));
  const row = () => database.read.selectFrom('device').selectAll().where('id', '=', press.id).executeTakeFirstOrThrow();
  return { references, publish, appraiser, appraise, add, record, row };
}

const codes = ({ reasons }: Appraisal) => reasons.map(({ code }) => code);

test('a boot that matches published reference values is affirmed, in a result that the hub signed about this device', async () => {
  await using store = await openTestStore();
  const { publish, appraise } = await hubOver(store);
  const { document } = await publish('1.0.0');
  const { appraisal, attestationResult } = await appraise(press.row);
  assert.deepEqual([appraisal.status, codes(appraisal)], ['affirming', []]);
  const window = { nowSeconds: nowMs / 1_000, maxAgeSeconds: 60, maxSkewSeconds: 60 };
  const verdict = verifyAttestationResult(attestationResult, signer.publicKey, window);
  assert.ok(verdict.kind === 'verified');
  const policyId = `line 1.0.0 sha256:${sha256Hex(document)}`;
  assert.deepEqual([verdict.result.subject, verdict.result.policyId], [press.id, policyId]);
});

// SECURITY.md: DEV-55
test('a device that enrolled with an attestation key that would not enroll now goes on, with an alert; any other has none', async () => {
  await using store = await openTestStore();
  const { publish, appraise, add, record } = await hubOver(store);
  await publish('1.0.0');
  await add();
  const alerts = async () =>
    (await store.database.read.selectFrom('alert').select(['kind', 'title']).execute()).map(
      ({ kind, title }) => `${kind} ${title}`,
    );
  await record((await appraise(press.row)).appraisal);
  assert.deepEqual(await alerts(), []);
  const { identity } = press;
  assert.ok(identity.kind === 'tpm');
  const area = parsePublic(parseBase64url(identity.attestationKey, 'key'));
  const clears = { ...area, attributes: area.attributes | objectAttributes.stClear };
  const old = { ...identity, attestationKey: toBase64url(encodeSizedPublic(clears)) };
  await record((await appraise({ ...press.row, identity: JSON.stringify(old) })).appraisal);
  const [alert] = await alerts();
  assert.match(alert ?? '', /^attestation-key-unlisted .*press-1.* it has stClear/);
});

test('without reference values no boot is affirmed', async () => {
  await using store = await openTestStore();
  const { appraise } = await hubOver(store);
  const { appraisal } = await appraise(press.row);
  assert.deepEqual([appraisal.status, codes(appraisal)], ['warning', ['reference-values-missing']]);
});

test('a PCR that must be covered and is not keeps a boot from being affirmed', async () => {
  await using store = await openTestStore();
  const { publish, appraise } = await hubOver(store, [14]);
  await publish(
    '1.0.0',
    uefiBoot.filter(({ pcr }) => pcr !== 14),
  );
  const { appraisal } = await appraise(press.row, { events: uefiBoot });
  assert.deepEqual([appraisal.status, codes(appraisal)], ['warning', ['pcr-not-covered']]);
});

test('evidence of a device is signed by its own key, over our nonce, of its own tier and no earlier boot', async () => {
  await using store = await openTestStore();
  const { publish, appraise } = await hubOver(store);
  await publish('1.0.0');
  const key = testKeyDevice('press-1', 1);
  const refused = [
    [press.row, { signer: stranger }, press, 'signature-invalid'],
    [press.row, { qualifyingData: otherData }, press, 'qualifying-data-mismatch'],
    [{ ...press.row, reset_count: 8 }, { resetCount: 7 }, press, 'reset-count-decreased'],
    [press.row, {}, key, 'tier-mismatch'],
    [key.row, { signer: stranger }, key, 'signature-invalid'],
    [key.row, { qualifyingData: otherData }, key, 'qualifying-data-mismatch'],
  ] as const;
  for (const [row, boot, device, code] of refused) {
    const { appraisal } = await appraise(row, boot, device);
    assert.deepEqual([appraisal.status, codes(appraisal)[0]], ['contraindicated', code]);
    assert.equal(isAuthentic(appraisal), false, code);
  }
});

test('a refused boot is authentic all the same: it was the device itself that said so', async () => {
  await using store = await openTestStore();
  const { publish, appraise } = await hubOver(store);
  await publish('1.0.0', uefiBoot.slice(0, -1));
  const { appraisal } = await appraise(press.row);
  assert.deepEqual([appraisal.status, codes(appraisal)], ['contraindicated', ['event-extra']]);
  assert.equal(isAuthentic(appraisal), true);
});

test('the state of a device follows its own evidence: a refused boot makes it suspect, a good one active again', async () => {
  await using store = await openTestStore();
  const { publish, appraise, add, record, row } = await hubOver(store);
  await publish('1.0.0');
  await add({ state: 'registered' });
  const good = (await appraise(press.row)).appraisal;
  const bad = (await appraise(press.row, { events: uefiBoot.slice(0, -1) })).appraisal;
  const expected: readonly (readonly [Appraisal, DeviceState])[] = [
    [good, 'active'],
    [bad, 'suspect'],
    [bad, 'suspect'],
    [good, 'active'],
  ];
  for (const [appraisal, state] of expected) {
    assert.equal((await record(appraisal)).state, state);
    assert.equal((await row()).state, state);
  }
  const kinds = (await auditEntries(store.database)).map(({ kind }) => kind);
  assert.deepEqual(kinds.slice(2), [
    'device-active',
    'attestation-refused',
    'alert-raised',
    'device-suspect',
    'attestation-refused',
    'alert-closed',
    'device-active',
  ]);
});

// SECURITY.md: HUB-108
test('the name of a file that a device ran keeps its refusal neither out of the log nor out of its state', async () => {
  await using store = await openTestStore();
  const { publish, appraise, add, record, row } = await hubOver(store);
  await publish('1.0.0');
  await add({ state: 'active' });
  const { appraisal } = await appraise(press.row, { events: uefiBoot.slice(0, -1) });
  // The cut of the message is in the middle of a character.
  const message = `${'x'.repeat(299)}\u{1f600}`;
  await record({ ...appraisal, reasons: appraisal.reasons.map((reason) => ({ ...reason, message })) });
  assert.equal((await row()).state, 'suspect');
  const kinds = (await auditEntries(store.database)).map(({ kind }) => kind);
  assert.ok(kinds.includes('attestation-refused') && kinds.includes('device-suspect'), kinds.join());
});

test('evidence of somebody else says nothing about the device: its state and its newest boot stay', async () => {
  await using store = await openTestStore();
  const { publish, appraise, add, record, row } = await hubOver(store);
  await publish('1.0.0');
  await add({ reset_count: 5 });
  const { appraisal } = await appraise(press.row, { signer: stranger, resetCount: 90 });
  assert.equal((await record(appraisal)).state, 'active');
  assert.deepEqual([(await row()).state, (await row()).reset_count], ['active', 5]);
});

test('a quarantined device stays so, however good its boot is', async () => {
  await using store = await openTestStore();
  const { publish, appraise, add, record } = await hubOver(store);
  await publish('1.0.0');
  await add({ state: 'quarantined' });
  assert.equal((await record((await appraise(press.row)).appraisal)).state, 'quarantined');
});

test('the newest boot of a device is kept: an earlier one that is recorded after it is appraised anew, and refused', async () => {
  await using store = await openTestStore();
  const { publish, appraise, add, record, row } = await hubOver(store);
  await publish('1.0.0');
  await add();
  const boot = async (resetCount: number) => (await appraise(press.row, { resetCount })).appraisal;
  const [older, newer] = [await boot(7), await boot(9)];
  await record(newer);
  assert.equal(await refusalOf(record(older)), 'conflict: newer-quote-recorded');
  assert.deepEqual(codes(await boot(7)), ['reset-count-decreased']);
  assert.equal((await row()).reset_count, 9);
});

test('an appraisal by reference values that were withdrawn meanwhile is not recorded, and is made anew', async () => {
  await using store = await openTestStore();
  const { references, publish, appraise, add, record, row } = await hubOver(store);
  await publish('1.0.0');
  await add();
  const { appraisal } = await appraise(press.row);
  await references.withdraw({ name: 'line', version: '1.0.0', ...by });
  assert.equal(await refusalOf(record(appraisal)), 'conflict: reference-values-changed');
  assert.equal((await row()).appraisal, null);
  const statuses: string[] = [];
  await untilReferencesStay(async () => {
    const anew = statuses.length === 0 ? appraisal : (await appraise(press.row)).appraisal;
    statuses.push(anew.status);
    await record(anew);
  });
  assert.deepEqual(statuses, ['affirming', 'warning']);
});

test('an appraisal that was made before an IMA policy was published or withdrawn is not recorded after it', async () => {
  await using store = await openTestStore();
  const { appraiser, appraise, add, record } = await hubOver(store);
  await add();
  const files = { '/opt/bin/a': [`sha256:${'1'.repeat(64)}`] };
  const name = { name: 'line', version: '1.0.0' };
  const document = encodeImaPolicy({ type: 'edgekeep-ima-policy/v1', ...name, files });
  const signature = await signDocument(document);
  const { imaPolicies } = appraiser;
  for (const change of [
    () => imaPolicies.publish({ document, signature, pcrs: [10], ...by }),
    () => imaPolicies.withdraw({ ...name, ...by }),
  ]) {
    const { appraisal } = await appraise(press.row);
    await change();
    assert.equal(await refusalOf(record(appraisal)), 'conflict: reference-values-changed');
  }
});

// SECURITY.md: HUB-91
test('an appraisal is not recorded once the key that signed its result counts no more, and is made anew by the next one', async () => {
  await using store = await openTestStore();
  const { references, add, record } = await hubOver(store);
  await add();
  let counts = true;
  const appraiser = testAppraiser(store.database, references, { signer, keyCounts: () => counts });
  const asked = { qualifyingData, nonce: qualifyingData, nowMs };
  const { appraisal } = await appraiser.appraise(press.row, press.evidence({ qualifyingData }), asked);
  counts = false;
  assert.equal(await refusalOf(record(appraisal)), 'conflict: reference-values-changed');
  counts = true;
  await record(appraisal);
});

test('what fails for another reason is not tried again', async () => {
  let times = 0;
  const work = async () => {
    times += 1;
    throw new TypeError('broken');
  };
  await assert.rejects(untilReferencesStay(work), TypeError);
  assert.equal(times, 1);
});

test('an appraisal of a device that is not there is refused', async () => {
  await using store = await openTestStore();
  const { appraise, record } = await hubOver(store);
  await assert.rejects(record((await appraise(press.row)).appraisal), { code: 'device-unknown' });
});
