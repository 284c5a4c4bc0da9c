// Who becomes a device (spec/enrollment-groups.md, spec/manufacture.md): what each of the two steps refuses, and what happened between them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testDice, testVendor } from '@edgekeep/core/attest/dice/testing';
import { fixedKey, uefiBoot } from '@edgekeep/core/attest/testing';
import { toBase64url } from '@edgekeep/core/bytes';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { deviceIdOf } from '@edgekeep/core/identity/device-id';
import { encodeCertificateRequest, parseCertificateRequest } from '@edgekeep/core/identity/request';
import { newSigner } from '@edgekeep/core/identity/testing-manufacturer';
import { testIssuing, testRoot } from '@edgekeep/core/identity/testing-roots';
import { groupTerms, type GroupTerms } from '@edgekeep/wire/api/enrollment-group';
import { rootDigestOf } from '../attest/root-keys.ts';
import { type TestDevice, testKeyDevice, testReferences } from '../attest/testing-device.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { signDocument, trustTestPublisher } from '../publisher/testing-publisher.ts';
import { auditEntries } from '../store/testing-store.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { importVendorRoots, removeVendorRoot } from '../vendor-root/store.ts';
import { blockRoot, removeExpected } from '../registry/admission-lists.ts';
import {
  createEnrollmentGroup,
  deleteEnrollmentGroup,
  disableEnrollmentGroup,
  type EnrollmentGroupOrder,
  limitEnrollmentGroup,
} from './groups.ts';
import { startEnrollment } from './start.ts';
import { createGroupToken } from './group-tokens.ts';
import {
  by,
  type Enrollment,
  type EnrollmentHub,
  enrollWith,
  madeTpmDevice,
  newWitnessKey,
  nowMs,
  openEnrollmentHub,
  qualified,
  startWith,
} from './testing-enrollment.ts';

const press = await madeTpmDevice('press-1', 1);
const second = await madeTpmDevice('press-2', 2);
const key = testKeyDevice('sensor-1', 1);
const element = testKeyDevice('lock-1', 2, 'secure-element');

const rows = async ({ database }: EnrollmentHub) =>
  (await database.read.selectFrom('device').select(['id', 'state', 'tier']).orderBy('id').execute()).map(
    ({ id, state, tier }) => `${id} ${state} ${tier}`,
  );

/** Everybody whose TPM comes from the maker, by a group. */
function makersGroup(hub: EnrollmentHub, change: Partial<EnrollmentGroupOrder> = {}, terms: Partial<GroupTerms> = {}) {
  const order = { name: 'makers', kind: 'endorsement-root', description: '', groups: [], ...by } as const;
  const authoritySha256 = sha256Hex(hub.maker.certificate.spki);
  return createEnrollmentGroup(hub.database, { ...order, authoritySha256, terms: groupTerms.parse(terms), ...change });
}
function expect({ database }: EnrollmentHub, device: TestDevice) {
  const row = { id: device.id, root_sha256: rootDigestOf(device.identity), imported_at: nowMs, site: null };
  return database.write((trx) => trx.insertInto('expected_device').values(row).execute());
}

test('a TPM that its maker vouches for enrolls with a token, gets a certificate for its id and uses the token up', async () => {
  await using hub = await openEnrollmentHub();
  const token = await hub.token();
  const certificate = await enrollWith(hub, press, { token });
  assert.equal(deviceIdOf(certificate), 'press-1');
  assert.deepEqual(await rows(hub), ['press-1 active tpm']);
  assert.equal(await refusalOf(startWith(hub, second, { token })), 'enrollment-refused');
  const entry = (await auditEntries(hub.database)).find(({ kind }) => kind === 'device-enrolled');
  assert.deepEqual([entry?.subject, entry?.actor], ['device:press-1', `token ${sha256Hex(token).slice(0, 16)}`]);
});

test('an endorsement certificate of a maker that nobody trusts, or of another key, lets nobody in, also with a token', async () => {
  await using hub = await openEnrollmentHub();
  const stranger = await testRoot({ notBeforeSeconds: 0, notAfterSeconds: 4e9 }, 'Maker root');
  const fake = await madeTpmDevice('press-1', 1, stranger);
  const borrowed = { ...second, identity: { ...second.identity, ...press.identity } };
  assert.ok(borrowed.identity.kind === 'tpm' && second.identity.kind === 'tpm');
  const mixed = { ...press, identity: { ...borrowed.identity, endorsementKey: second.identity.endorsementKey } };
  const token = await hub.token();
  assert.equal(await refusalOf(startWith(hub, fake, { token })), 'enrollment-refused: endorsement-refused');
  assert.equal(await refusalOf(startWith(hub, mixed, { token })), 'enrollment-refused: endorsement-key-differs');
});

test('a DeviceID certificate counts by a maker that is trusted for DICE, and by none that is trusted for TPMs', async () => {
  await using hub = await openEnrollmentHub();
  const vendor = await testVendor();
  const deviceIdCertificates = (await testDice(vendor)).chain.slice(-2).map(({ der }) => toBase64url(der));
  const identity = { kind: 'dice', deviceIdCertificates } as const;
  const request = { deviceId: 'meter-1', token: await hub.token(), identity, address: '192.0.2.7', nowMs };
  const trustFor = async (kind: 'tpm' | 'dice') => {
    const terms = { kind, anchor: false, source: 'test', ...by } as const;
    await importVendorRoots(hub.database, { ...terms, certificates: [vendor.root] });
    await hub.vendorRoots.reload();
  };
  await trustFor('tpm');
  assert.equal(await refusalOf(startEnrollment(hub.parts, request)), 'enrollment-refused: dice-path-refused');
  await trustFor('dice');
  const { pending } = await startEnrollment(hub.parts, request);
  assert.equal(pending.proof.rootSha256, rootDigestOf(identity));
});

test('the attestation key has to be in the TPM of the endorsement key: only that TPM opens the credential', async () => {
  await using hub = await openEnrollmentHub();
  const token = await hub.token();
  for (const credentialSecret of [undefined, new Uint8Array(0), new Uint8Array(32), new Uint8Array(33)]) {
    const answered = enrollWith(hub, press, { token, answer: () => ({ credentialSecret }) });
    assert.equal(await refusalOf(answered), 'enrollment-refused: credential-not-activated');
  }
  assert.deepEqual(await rows(hub), []);
});

test('the root of trust proves the operational key: with its own key, over our nonce and over that key', async () => {
  await using hub = await openEnrollmentHub();
  const token = await hub.token();
  const otherRequest = async () => ({
    certificateRequest: await encodeCertificateRequest({ subject: commonNameOnly('press-1') }, newSigner()),
  });
  const dishonest = [
    [{ boot: { signer: fixedKey(9) } }, 'signature-invalid'],
    [{ boot: { qualifyingData: new Uint8Array(32) } }, 'qualifying-data-mismatch'],
    [{ answer: () => ({ nonce: new Uint8Array(32) }) }, 'qualifying-data-mismatch'],
    [{ answer: otherRequest }, 'qualifying-data-mismatch'],
  ] as const;
  for (const [change, reason] of dishonest)
    for (const device of [press, key])
      assert.equal(await refusalOf(enrollWith(hub, device, { token, ...change })), `enrollment-refused: ${reason}`);
  assert.deepEqual(await rows(hub), []);
});

// SECURITY.md: DEV-70
test('the evidence is about the sealing key, the witness key, the connection and the hub of this enrollment', async () => {
  await using hub = await openEnrollmentHub();
  const token = await hub.token();
  const attacker = testKeyDevice('attacker', 77);
  const { identity } = key;
  if (identity.kind !== 'software' || attacker.identity.kind !== 'software') throw new TypeError('not keys in files');
  const { encryptionKey } = attacker.identity;
  const swapped = { ...key, identity: { ...identity, encryptionKey } };
  const honest =
    (about: Partial<Parameters<typeof qualified>[2]>): NonNullable<Enrollment['answer']> =>
    (answer) => {
      const { spki } = parseCertificateRequest(answer.certificateRequest);
      const { nonce, witnessKey } = answer;
      const covered = qualified('enroll', key, { nonce, spki, deviceId: key.id, witnessKey, ...about });
      return { evidence: key.evidence({ qualifyingData: covered }) };
    };
  const dishonest = [
    enrollWith(hub, swapped, { token, answer: honest({}) }),
    enrollWith(hub, key, { token, answer: () => ({ witnessKey: newWitnessKey(key.id) }) }),
    enrollWith(hub, key, { token, answer: () => ({ exporter: new Uint8Array(32) }) }),
    enrollWith(hub, key, { token, answer: honest({ hub: 'other.example/log' }) }),
    enrollWith(hub, key, { token, answer: honest({ deviceId: 'press-2' }) }),
  ];
  const refusals = await Promise.all(dishonest.map(refusalOf));
  assert.deepEqual(new Set(refusals), new Set(['enrollment-refused: qualifying-data-mismatch']));
  assert.deepEqual(await rows(hub), []);
  await enrollWith(hub, key, { token, answer: honest({}) });
});

test('a request for a certificate is signed by its own key', async () => {
  await using hub = await openEnrollmentHub();
  const token = await hub.token();
  const broken = enrollWith(hub, press, {
    token,
    answer: ({ certificateRequest }) => {
      const bytes = Uint8Array.from(certificateRequest);
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      return { certificateRequest: bytes };
    },
  });
  await assert.rejects(broken, { code: 'certificate-request-invalid' });
});

test('a boot that is refused does not keep a device from enrolling: it is registered, and not active', async () => {
  await using hub = await openEnrollmentHub();
  await trustTestPublisher(hub.database);
  const document = testReferences('1.0.0');
  await hub.references.publish({ document, signature: await signDocument(document), ...by });
  await enrollWith(hub, press, { token: await hub.token(), boot: { events: uefiBoot.slice(0, -1) } });
  await enrollWith(hub, second, { token: await hub.token() });
  assert.deepEqual(await rows(hub), ['press-1 registered tpm', 'press-2 active tpm']);
});

test('the witness key is one that cosigns, and nobody else’s', async () => {
  await using hub = await openEnrollmentHub();
  const wrongType = newWitnessKey('press-1', 'ed25519');
  const token = await hub.token();
  const wrong = enrollWith(hub, press, { token, witnessKey: wrongType });
  assert.equal(await refusalOf(wrong), 'enrollment-refused: witness-key-invalid');
  const witnessKey = newWitnessKey('press-1');
  await enrollWith(hub, press, { token, witnessKey });
  const again = enrollWith(hub, second, { token: await hub.token(), witnessKey });
  assert.equal(await refusalOf(again), 'enrollment-refused: witness-key-taken');
});

test('without a token only a device that somebody vouches for enrolls, and a key in a file never', async () => {
  await using strict = await openEnrollmentHub();
  await using open = await openEnrollmentHub({ enrollment: { requireToken: false } });
  for (const device of [press, key, element])
    assert.equal(await refusalOf(startWith(strict, device)), 'enrollment-refused', device.id);
  for (const device of [key, element])
    assert.equal(await refusalOf(startWith(open, device)), 'enrollment-refused', device.id);
  await enrollWith(open, press);
  await expect(strict, press);
  await enrollWith(strict, press);
  const [entry] = (await auditEntries(strict.database)).filter(({ kind }) => kind === 'device-enrolled');
  assert.equal(entry?.actor, 'allow-list');
});

test('a key that says it is in a secure element needs a token that was made for that tier', async () => {
  await using hub = await openEnrollmentHub();
  const forAny = startWith(hub, element, { token: await hub.token() });
  assert.equal(await refusalOf(forAny), 'enrollment-refused: tier-not-vouched');
  await enrollWith(hub, element, { token: await hub.token({ tier: 'secure-element' }) });
  await enrollWith(hub, key, { token: await hub.token() });
  assert.deepEqual(await rows(hub), ['lock-1 active secure-element', 'sensor-1 active software']);
});

test('one token lets one of two devices in that began with it at a time, and the other one leaves nothing behind', async () => {
  await using hub = await openEnrollmentHub();
  const token = await hub.token();
  const raced = enrollWith(hub, press, { token, between: () => enrollWith(hub, second, { token }) });
  assert.equal(await refusalOf(raced), 'enrollment-refused');
  assert.deepEqual(await rows(hub), ['press-2 active tpm']);
  const certificates = await hub.database.read.selectFrom('certificate').select('device_id').execute();
  assert.deepEqual(
    certificates.map(({ device_id: id }) => id),
    ['press-2'],
  );
});

test('an id and a root of trust are one device', async () => {
  await using hub = await openEnrollmentHub();
  await enrollWith(hub, press, { token: await hub.token() });
  const sameId = startWith(hub, { ...second, id: 'press-1' }, { token: await hub.token() });
  assert.equal(await refusalOf(sameId), 'enrollment-refused: device-id-taken');
  const sameRoot = startWith(hub, { ...press, id: 'press-9' }, { token: await hub.token() });
  assert.equal(await refusalOf(sameRoot), 'enrollment-refused: root-of-trust-taken');
  const raced = enrollWith(hub, second, {
    token: await hub.token(),
    between: async () => enrollWith(hub, second, { token: await hub.token() }),
  });
  assert.equal(await refusalOf(raced), 'enrollment-refused: device-id-taken');
});

test('a root of trust that is blocked enrolls neither at the first step nor at the second', async () => {
  await using hub = await openEnrollmentHub();
  const block = () => blockRoot(hub.database, { rootSha256: rootDigestOf(press.identity), reason: 'stolen', ...by });
  const raced = enrollWith(hub, press, { token: await hub.token(), between: block });
  assert.equal(await refusalOf(raced), 'enrollment-refused: root-of-trust-blocked');
  const begun = startWith(hub, press, { token: await hub.token() });
  assert.equal(await refusalOf(begun), 'enrollment-refused: root-of-trust-blocked');
});

test('an import that is taken back between the steps lets nobody in', async () => {
  await using hub = await openEnrollmentHub();
  await expect(hub, press);
  const raced = enrollWith(hub, press, { between: () => removeExpected(hub.database, { id: 'press-1', ...by }) });
  assert.equal(await refusalOf(raced), 'enrollment-refused: not-expected');
});

test('a maker whose root is removed between the steps vouches for nobody', async () => {
  await using hub = await openEnrollmentHub();
  const sha256 = sha256Hex(hub.maker.certificate.der);
  const removal = { kind: 'tpm', sha256, force: true, reason: 'compromised', ...by } as const;
  const raced = enrollWith(hub, press, {
    token: await hub.token(),
    between: () => removeVendorRoot(hub.database, removal),
  });
  assert.equal(await refusalOf(raced), 'enrollment-refused: vendor-root-removed');
  assert.deepEqual(await rows(hub), []);
});

// SECURITY.md: DEV-07
test('an intermediate that is removed between the steps admits no device, whether the hub or the device has it', async () => {
  await using hub = await openEnrollmentHub();
  const issuing = await testIssuing(hub.maker, { notBeforeSeconds: 0, notAfterSeconds: 4e9 });
  const stored = { kind: 'tpm', anchor: false, source: 'test', certificates: [issuing.certificate], ...by } as const;
  const remove = () =>
    removeVendorRoot(hub.database, {
      kind: 'tpm',
      sha256: sha256Hex(issuing.certificate.der),
      force: true,
      reason: 'compromised',
      ...by,
    });
  const alone = await madeTpmDevice('press-3', 3, issuing);
  assert.ok(alone.identity.kind === 'tpm');
  const endorsementCertificates = [...alone.identity.endorsementCertificates, toBase64url(issuing.certificate.der)];
  const withIssuer = { ...alone, identity: { ...alone.identity, endorsementCertificates } };
  for (const device of [alone, withIssuer]) {
    await importVendorRoots(hub.database, stored);
    await hub.vendorRoots.reload();
    const raced = enrollWith(hub, device, { token: await hub.token(), between: remove });
    assert.equal(await refusalOf(raced), 'enrollment-refused: vendor-root-removed');
  }
  await hub.vendorRoots.reload();
  const later = enrollWith(hub, withIssuer, { token: await hub.token() });
  assert.equal(await refusalOf(later), 'enrollment-refused: vendor-root-removed');
  assert.deepEqual(await rows(hub), []);
  await importVendorRoots(hub.database, stored);
  await hub.vendorRoots.reload();
  await enrollWith(hub, alone, { token: await hub.token() });
  assert.deepEqual(await rows(hub), ['press-3 active tpm']);
});

test('a group takes the devices of its maker without a token, up to its limit and under its prefix', async () => {
  await using hub = await openEnrollmentHub();
  await makersGroup(hub, { maxDevices: 1 }, { idPrefix: 'press-' });
  const other = startWith(hub, { ...second, id: 'oven-1' });
  assert.equal(await refusalOf(other), 'enrollment-refused: device-id-not-allowed');
  await enrollWith(hub, press);
  assert.equal(await refusalOf(startWith(hub, second)), 'enrollment-refused: enrollment-group-full');
  await limitEnrollmentGroup(hub.database, { name: 'makers', maxDevices: 2, ...by });
  await enrollWith(hub, second);
  const group = await hub.database.read.selectFrom('enrolment_group').select('devices').executeTakeFirstOrThrow();
  assert.equal(group.devices, 2);
});

test('of two devices that began for the last place of a group, one gets it', async () => {
  await using hub = await openEnrollmentHub();
  await makersGroup(hub, { maxDevices: 1 });
  const raced = enrollWith(hub, press, { between: () => enrollWith(hub, second) });
  assert.equal(await refusalOf(raced), 'enrollment-refused: enrollment-group-full');
});

test('a group that is disabled, deleted or made anew between the steps lets nobody in', async () => {
  for (const [change, reason] of [
    [
      (hub: EnrollmentHub) => disableEnrollmentGroup(hub.database, { name: 'makers', reason: 'recall', ...by }),
      'enrollment-group-disabled',
    ],
    [
      (hub: EnrollmentHub) => deleteEnrollmentGroup(hub.database, { name: 'makers', ...by }),
      'enrollment-group-changed',
    ],
    [
      async (hub: EnrollmentHub) => {
        await deleteEnrollmentGroup(hub.database, { name: 'makers', ...by });
        await makersGroup(hub, { nowMs: nowMs + 1 });
      },
      'enrollment-group-changed',
    ],
  ] as const) {
    await using hub = await openEnrollmentHub();
    await makersGroup(hub);
    const raced = enrollWith(hub, press, { between: () => change(hub) });
    assert.equal(await refusalOf(raced), `enrollment-refused: ${reason}`);
    assert.deepEqual(await rows(hub), []);
  }
});

test('a group that asks for a token takes its own or a one-time one', async () => {
  await using hub = await openEnrollmentHub();
  await makersGroup(hub, {}, { needsToken: true });
  assert.equal(await refusalOf(startWith(hub, press)), 'enrollment-refused');
  await enrollWith(hub, press, { token: await groupToken(hub, 'makers') });
  await enrollWith(hub, second, { token: await hub.token() });
  assert.deepEqual(await groupsOfDevices(hub), ['press-1 makers', 'press-2 makers']);
});

test('the token of one group lets in no device that another group speaks for', async () => {
  await using hub = await openEnrollmentHub();
  const terms = groupTerms.parse({});
  for (const kind of ['token', 'manifest'] as const)
    await createEnrollmentGroup(hub.database, { name: `by-${kind}`, kind, description: '', groups: [], terms, ...by });
  const listing = { kind: 'root', enrolment_group: 'by-manifest', device_id: null } as const;
  const sha256 = rootDigestOf(press.identity);
  await hub.database.write((trx) =>
    trx
      .insertInto('enrolment_listing')
      .values({ ...listing, sha256 })
      .execute(),
  );
  const token = await groupToken(hub, 'by-token');
  assert.equal(await refusalOf(startWith(hub, press, { token })), 'enrollment-refused: token-of-another-group');
  await enrollWith(hub, press);
  await enrollWith(hub, second, { token });
  assert.deepEqual(await groupsOfDevices(hub), ['press-1 by-manifest', 'press-2 by-token']);
});

async function groupToken({ database, ada }: EnrollmentHub, name: string): Promise<string> {
  const order = { name, maxUses: 5, lifeSeconds: 60, maker: ada, olderSeconds: undefined, ...by };
  return (await createGroupToken(database, order)).token;
}

async function groupsOfDevices({ database }: EnrollmentHub): Promise<readonly string[]> {
  const devices = await database.read.selectFrom('device').select(['id', 'enrolment_group as group']).execute();
  return devices.map(({ id, group }) => `${id} ${group}`).toSorted();
}
