// Enrollment by IDevID: what a manufacturer's certificate permits, and every attempt to use it for another device, which must be refused.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { otherForms } from '@edgekeep/core/identity/certificate-forms';
import { certificateIdentity } from '@edgekeep/core/identity/certificate-identity';
import { extendedKeyUsage, keyUsage } from '@edgekeep/core/identity/extensions';
import { certifyVersion } from '@edgekeep/core/attest/certify-subject';
import { idevidProofMessage } from '@edgekeep/core/attest/idevid-proof';
import { extensionOid, keyPurposeOid } from '@edgekeep/core/identity/oid';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { type TestManufacturer, testManufacturer } from '@edgekeep/core/identity/testing-manufacturer';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { blockResponse } from '@edgekeep/wire/api/admission';
import { alertList } from '@edgekeep/wire/api/alert';
import { certificateResponse, enrollChallengeResponse } from '@edgekeep/wire/api/enrollment';
import { enrollmentGroupView, groupSwitchResponse } from '@edgekeep/wire/api/enrollment-group';
import { auditList } from '@edgekeep/wire/api/audit';
import { deviceDetail, stateResponse } from '@edgekeep/wire/api/device-view';
import { importReport } from '@edgekeep/wire/api/registry';
import { vendorRootImported, vendorRootList } from '@edgekeep/wire/api/vendor-root';
import { z } from 'zod';
import { accepted, type Answer, assertRefused } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { giveIdevid, trustManufacturer } from '../support/manufacturer.ts';
import { newOperationalKey, proofDocument, TestDevice } from '../support/test-device.ts';
import { skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
let works: TestManufacturer;
let stranger: TestManufacturer;
/** Enrolled by its IDevID. */
let first: TestDevice;
/** Has an IDevID, is not enrolled. */
let second: TestDevice;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  works = await testManufacturer();
  stranger = await testManufacturer('Other Works');
  await trustManufacturer(fleet.world, works, 'works');
  first = await made('sn-1', 'SN-1');
  second = await made('sn-2', 'SN-2');
});
after(() => fleet?.[Symbol.asyncDispose]());

function hardwareOf({ rootOfTrust }: TestDevice): TpmRootOfTrust {
  assert.ok(rootOfTrust instanceof TpmRootOfTrust);
  return rootOfTrust;
}

async function made(id: string, serialNumber: string): Promise<TestDevice> {
  const device = await fleet.newDevice(id);
  await giveIdevid(works, hardwareOf(device), serialNumber);
  return device;
}

const show = (id: string) => fleet.world.operator.get(`/v1/devices/${id}`, deviceDetail);

function refusedFor(answer: Answer, reason: string): void {
  assertRefused(answer, { status: 403, code: 'enrollment-refused', reason });
}

async function assertNotEnrolled(id: string): Promise<void> {
  await assert.rejects(show(id), { code: 'not-found' });
}

const withProof = z.looseObject({ idevidProof: z.looseObject({ signature: z.string(), residency: z.unknown() }) });

/** Another IDevID in place of the device's own. */
async function withIdevid(
  device: TestDevice,
  manufacturer: TestManufacturer,
  change?: Parameters<typeof giveIdevid>[3],
): Promise<Answer> {
  await giveIdevid(manufacturer, hardwareOf(device), 'SN-2', change);
  return device.tryEnroll(fleet.world, undefined);
}

test(
  'a device enrolls by its IDevID without a token, serves the bind, and the hub keeps both identities',
  { skip },
  async () => {
    accepted(await first.tryEnroll(fleet.world, undefined), certificateResponse);
    await using link = await first.connect(fleet.world.hub);
    assert.ok(link.connected);
    const { idevid, enrollmentGroup, certificates } = await show('sn-1');
    const [leaf = new Uint8Array(0)] = (await hardwareOf(first).idevid())?.chain ?? [];
    assert.deepEqual(idevid, {
      serialNumber: 'SN-1',
      sha256: certificateIdentity(parseCertificate(leaf)),
      issuer: 'CN=Example Works line 1',
      hardwareType: '1.3.6.1.4.1.32473.1',
      hardwareSerial: 'SN-1',
    });
    assert.equal(enrollmentGroup, 'works');
    assert.equal(certificates.length, 1);
    const { entries } = await fleet.world.operator.get('/v1/audit', auditList);
    const entry = entries.find(({ kind, subject }) => kind === 'device-enrolled' && subject === 'device:sn-1');
    assert.equal(entry?.actor, 'enrolment-group:works');
    assert.partialDeepStrictEqual(entry.data, { idevidSerial: 'SN-1', idevidSha256: idevid.sha256 });
  },
);

// SECURITY.md: DEV-05
test('without an IDevID, and with one of a manufacturer nobody trusts, a device needs a token', { skip }, async () => {
  const plain = await second.tryEnroll(fleet.world, undefined, {
    start: (honest) => ({ ...honest, idevid: undefined }),
  });
  assertRefused(plain, { status: 403, code: 'enrollment-refused' });
  refusedFor(await withIdevid(second, stranger), 'idevid-authority-unknown');
  await assertNotEnrolled('sn-2');
});

// SECURITY.md: DEV-05
test('an authority of the same name with another key is not the manufacturer', { skip }, async () => {
  refusedFor(await withIdevid(second, await testManufacturer()), 'idevid-path');
});

const spoiled: readonly (readonly [string, string, NonNullable<Parameters<typeof giveIdevid>[3]>])[] = [
  ['that has expired', 'idevid-path', (t) => ({ ...t, notAfterSeconds: t.notBeforeSeconds + 1 })],
  ['that is not valid yet', 'idevid-path', (t) => ({ ...t, notBeforeSeconds: 4_000_000_000 })],
  [
    'whose key may not sign',
    'idevid-key-usage',
    (t) => ({
      ...t,
      extensions: [...t.extensions.filter(({ oid }) => oid !== extensionOid.keyUsage), keyUsage('keyEncipherment')],
    }),
  ],
  [
    'for servers only',
    'idevid-purpose',
    (t) => ({ ...t, extensions: [...t.extensions, extendedKeyUsage(keyPurposeOid.serverAuth)] }),
  ],
  [
    'that names no hardware',
    'idevid-hardware-missing',
    (t) => ({ ...t, extensions: t.extensions.filter(({ oid }) => oid !== extensionOid.subjectAltName) }),
  ],
];
for (const [what, reason, change] of spoiled) {
  test(`an IDevID ${what} is refused, also beside a token`, { skip }, async () => {
    refusedFor(await withIdevid(second, works, change), reason);
    refusedFor(await second.tryEnroll(fleet.world, await fleet.world.enrollmentToken()), reason);
    await assertNotEnrolled('sn-2');
  });
}

test('a changed IDevID is refused', { skip }, async () => {
  await giveIdevid(works, hardwareOf(second), 'SN-2');
  const answer = await second.tryEnroll(fleet.world, undefined, {
    start: (honest) => {
      const [leaf = '', ...issuers] = honest.idevid?.chain ?? [];
      const der = parseBase64url(leaf, 'leaf');
      const spoilt = Uint8Array.from(der, (octet, at) => (at === der.length - 1 ? octet ^ 1 : octet));
      return { ...honest, idevid: { chain: [toBase64url(spoilt), ...issuers] } };
    },
  });
  refusedFor(answer, 'idevid-path');
});

// SECURITY.md: DEV-04
test('the IDevID of another device is refused: its key is not here, and not in this TPM', { skip }, async (t) => {
  const other = await made('sn-3', 'SN-3');
  const chain = ((await hardwareOf(other).idevid())?.chain ?? []).map(toBase64url);
  const asOther = (honest: object) => ({ ...honest, deviceId: 'sn-3', idevid: { chain } });

  await t.test('with a proof by the own key', async () => {
    const asItself = { start: asOther, claims: { deviceId: 'sn-3' } };
    refusedFor(await second.tryEnroll(fleet.world, undefined, asItself), 'idevid-not-possessed');
  });

  await t.test(
    'with the other device signing what it is given, as a thief with access to it could have it',
    async () => {
      await using link = await DeviceLink.open(fleet.world.hub);
      const answer = await relayed(link, second, other, chain);
      refusedFor(answer, 'idevid-not-in-this-tpm');
    },
  );

  await t.test('and nothing of it is left', async () => assertNotEnrolled('sn-3'));
});

/** `device` enrolls with its own root of trust, and `helper` signs for the IDevID. */
async function relayed(link: DeviceLink, device: TestDevice, helper: TestDevice, chain: string[]): Promise<Answer> {
  const identity = await device.identity();
  const start = { version: certifyVersion, deviceId: 'sn-3', identity, idevid: { chain } };
  const { nonce, credential } = accepted(
    await link.ask('POST', '/v1/enroll/challenge', start),
    enrollChallengeResponse,
  );
  const secret = await device.rootOfTrust.activateCredential(
    parseBase64url(credential?.blob ?? '', 'blob'),
    parseBase64url(credential?.encryptedSecret ?? '', 'secret'),
  );
  const { request, spki } = await newOperationalKey('sn-3');
  const ask = { nonce: parseBase64url(nonce, 'nonce'), spki, exporter: link.exporter };
  const claims = { deviceId: 'sn-3' };
  const qualified = await device.qualified('enroll', ask, claims);
  const subject = { use: 'enroll', nonce: qualified, operationalSpki: spki, deviceId: 'sn-3', identity } as const;
  const proof = await (await hardwareOf(helper).idevid())?.prove(idevidProofMessage(subject));
  assert.ok(proof);
  return link.ask('POST', '/v1/enroll/complete', {
    credentialSecret: toBase64url(secret),
    certificateRequest: toBase64url(request),
    evidence: (await device.certifyProof('enroll', ask, claims)).evidence,
    witnessKey: device.witnessKey,
    idevidProof: proofDocument(proof),
  });
}

// SECURITY.md: DEV-04
test('an old proof, a proof without the TPM’s word, and none at all are refused', { skip }, async () => {
  await giveIdevid(works, hardwareOf(second), 'SN-2');
  let old: object | undefined;
  const keep = await second.tryEnroll(fleet.world, undefined, {
    end: (honest) => {
      old = withProof.parse(honest).idevidProof;
      return { ...honest, idevidProof: undefined };
    },
  });
  refusedFor(keep, 'idevid-proof-missing');
  const replayed = await second.tryEnroll(fleet.world, undefined, {
    end: (honest) => ({ ...honest, idevidProof: old }),
  });
  refusedFor(replayed, 'idevid-not-possessed');
  const bare = await second.tryEnroll(fleet.world, undefined, {
    end: (honest) => {
      const { signature } = withProof.parse(honest).idevidProof;
      return { ...honest, idevidProof: { signature } };
    },
  });
  refusedFor(bare, 'idevid-residency-missing');
  const mixed = await second.tryEnroll(fleet.world, undefined, {
    end: (honest) => {
      const { signature } = withProof.parse(honest).idevidProof;
      return {
        ...honest,
        idevidProof: { signature, residency: withProof.parse({ idevidProof: old }).idevidProof.residency },
      };
    },
  });
  refusedFor(mixed, 'idevid-not-in-this-tpm');
  const noise = await second.tryEnroll(fleet.world, undefined, {
    end: (honest) => ({ ...honest, idevidProof: { signature: toBase64url(randomBytes(70)) } }),
  });
  refusedFor(noise, 'idevid-not-possessed');
  await assertNotEnrolled('sn-2');
});

// SECURITY.md: DEV-04
test(
  'a clone, with the serial number of an enrolled device and a key of its own, is refused also with a token',
  { skip },
  async () => {
    const clone = await made('clone', 'SN-1');
    refusedFor(await clone.tryEnroll(fleet.world, undefined), 'idevid-id-differs');
    refusedFor(await clone.tryEnroll(fleet.world, await fleet.world.enrollmentToken()), 'idevid-taken');
    // X.520 compares serial numbers without case.
    await giveIdevid(works, hardwareOf(clone), 'sn-1');
    refusedFor(await clone.tryEnroll(fleet.world, await fleet.world.enrollmentToken()), 'idevid-taken');
    await assertNotEnrolled('clone');
    const { alerts } = await fleet.world.operator.get('/v1/alerts', alertList);
    const raised = alerts.find(({ kind, deviceId }) => kind === 'clone' && deviceId === 'sn-1');
    assert.equal(raised?.count, 2);
    assert.match(raised.title, /^clone at .* came with the IDevID of sn-1, serial number SN-1/i);
  },
);

test('the public certificate of an enrolled device raises no alert when its key is not at hand', { skip }, async () => {
  const chain = ((await hardwareOf(first).idevid())?.chain ?? []).map(toBase64url);
  const token = await fleet.world.enrollmentToken();
  const answer = await second.tryEnroll(fleet.world, token, { start: (honest) => ({ ...honest, idevid: { chain } }) });
  refusedFor(answer, 'idevid-not-possessed');
  const { alerts } = await fleet.world.operator.get('/v1/alerts', alertList);
  assert.equal(alerts.find(({ kind }) => kind === 'clone')?.count, 2);
});

// SECURITY.md: DEV-04
test(
  'a device does not take the name of another: its id is that of its serial number, or one it was given',
  { skip },
  async () => {
    const named = await made('boss', 'SN-4');
    refusedFor(await named.tryEnroll(fleet.world, undefined), 'idevid-id-differs');
    const { rootSha256 } = await rootOf(named);
    const lines = () => Readable.from([`${JSON.stringify({ id: 'boss', rootSha256 })}\n`]);
    const report = await fleet.world.operator.sendLines('/v1/devices/import', lines, importReport);
    assert.equal(report.expected, 1);
    accepted(await named.tryEnroll(fleet.world, undefined), certificateResponse);
    assert.equal((await show('boss')).idevid?.serialNumber, 'SN-4');
  },
);

async function rootOf(device: TestDevice): Promise<{ rootSha256: string }> {
  const { endorsementKey } = await hardwareOf(device).describe();
  const key = publicKeyOf(parsePublic(endorsementKey.publicArea));
  return { rootSha256: createHash('sha256').update(encodeSpki(key)).digest('hex') };
}

test('an IDevID of hardware does not speak for keys in files', { skip }, async () => {
  const software = fleet.keep(await TestDevice.withoutTpm('sn-2', join(fleet.world.folder, 'files')));
  const chain = ((await hardwareOf(second).idevid())?.chain ?? []).map(toBase64url);
  const answer = await software.tryEnroll(fleet.world, undefined, {
    start: (honest) => ({ ...honest, idevid: { chain } }),
  });
  refusedFor(answer, 'idevid-tier-differs');
});

test('a chain of five, an empty one and one that is no certificate are broken input', { skip }, async () => {
  const [leaf = ''] = ((await hardwareOf(second).idevid())?.chain ?? []).map(toBase64url);
  for (const chain of [[], [leaf, leaf, leaf, leaf, leaf], ['AAAA']]) {
    const answer = await second.tryEnroll(fleet.world, undefined, {
      start: (honest) => ({ ...honest, idevid: { chain } }),
    });
    assert.equal(answer.status, 400);
  }
});

test('a disabled group lets nobody in by IDevID', { skip }, async () => {
  await giveIdevid(works, hardwareOf(second), 'SN-2');
  await fleet.world.operator.send(
    'POST',
    '/v1/enrollment-groups/works/disable',
    { reason: 'lot recalled' },
    groupSwitchResponse,
  );
  refusedFor(await second.tryEnroll(fleet.world, undefined), 'enrollment-group-disabled');
  await fleet.world.operator.send('POST', '/v1/enrollment-groups/works/enable', {}, groupSwitchResponse);
  accepted(await second.tryEnroll(fleet.world, undefined), certificateResponse);
});

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('a blocked IDevID does not enroll, with any root of trust', { skip }, async () => {
  const device = await fleet.newDevice('sn-40');
  const idevid = await giveIdevid(works, hardwareOf(device), 'SN-40');
  const rootSha256 = sha256(idevid);
  const block = { rootSha256, reason: 'lot 9 was stolen' };
  await fleet.world.operator.send('POST', '/v1/blocked-roots', block, blockResponse);
  refusedFor(await device.tryEnroll(fleet.world, undefined), 'root-of-trust-blocked');
  refusedFor(await device.tryEnroll(fleet.world, await fleet.world.enrollmentToken()), 'root-of-trust-blocked');
});

/** Enrolls with the certificate that has `n - s` in the place of `s`. */
async function withOtherForm(device: TestDevice, leaf: Uint8Array): Promise<Answer> {
  const [other] = otherForms(parseCertificate(leaf));
  assert.ok(other !== undefined);
  return device.tryEnroll(fleet.world, undefined, {
    start: ({ idevid, ...honest }) => {
      const [, ...above] = chainOf.parse(idevid).chain;
      return { ...honest, idevid: { chain: [toBase64url(other), ...above] } };
    },
  });
}
const chainOf = z.object({ chain: z.array(z.string()) });

// SECURITY.md: DEV-54
test(
  'a blocked IDevID does not come back with another form of its certificate’s signature, by any digest that was written down',
  { skip },
  async () => {
    const digests: readonly (readonly [string, (leaf: Uint8Array) => string])[] = [
      ['sn-60', sha256],
      ['sn-61', (leaf) => certificateIdentity(parseCertificate(leaf))],
      ['sn-62', (leaf) => sha256(parseCertificate(leaf).spki)],
    ];
    for (const [id, digestOf] of digests) {
      const device = await fleet.newDevice(id);
      const leaf = await giveIdevid(works, hardwareOf(device), id.toUpperCase());
      const block = { rootSha256: digestOf(leaf), reason: 'lot 17 was stolen' };
      await fleet.world.operator.send('POST', '/v1/blocked-roots', block, blockResponse);
      refusedFor(await device.tryEnroll(fleet.world, undefined), 'root-of-trust-blocked');
      refusedFor(await withOtherForm(device, leaf), 'root-of-trust-blocked');
      await assertNotEnrolled(id);
    }
  },
);

// SECURITY.md: DEV-54
test('a device does not leave its manifest by another form of its certificate’s signature', { skip }, async () => {
  const { operator } = fleet.world;
  const narrow = { name: 'narrow', kind: 'manifest', terms: { tags: { lot: 'narrow' } } };
  await operator.send('POST', '/v1/enrollment-groups', narrow, enrollmentGroupView);
  for (const [id, digestOf] of [
    ['sn-63', sha256],
    ['sn-64', (leaf: Uint8Array) => certificateIdentity(parseCertificate(leaf))],
  ] as const) {
    const device = await fleet.newDevice(id);
    const leaf = await giveIdevid(works, hardwareOf(device), id.toUpperCase());
    const line = { enrollmentGroup: 'narrow', idevidSha256: digestOf(leaf) };
    const lines = () => Readable.from([`${JSON.stringify(line)}\n`]);
    assert.equal((await operator.sendLines('/v1/devices/import', lines, importReport)).listed, 1);
    accepted(await withOtherForm(device, leaf), certificateResponse);
    assert.equal((await show(id)).enrollmentGroup, 'narrow');
  }
});

test('a manifest lists a device by its IDevID, and its group speaks before the manufacturer’s', { skip }, async () => {
  const device = await fleet.newDevice('sn-41');
  const idevid = await giveIdevid(works, hardwareOf(device), 'SN-41');
  const lot = { name: 'lot', kind: 'manifest', terms: { tags: { lot: '41' } } };
  await fleet.world.operator.send('POST', '/v1/enrollment-groups', lot, enrollmentGroupView);
  const line = { enrollmentGroup: 'lot', idevidSha256: sha256(idevid) };
  const lines = () => Readable.from([`${JSON.stringify(line)}\n`]);
  assert.equal((await fleet.world.operator.sendLines('/v1/devices/import', lines, importReport)).listed, 1);
  accepted(await device.tryEnroll(fleet.world, undefined), certificateResponse);
  const { enrollmentGroup, tags } = await show('sn-41');
  assert.deepEqual([enrollmentGroup, tags], ['lot', { lot: '41' }]);
});

test(
  'a wiped device comes back with its IDevID; moved to another id, it takes the IDevID along',
  { skip },
  async () => {
    const { world } = fleet;
    const device = await made('sn-42', 'SN-42');
    accepted(await device.tryEnroll(world, undefined), certificateResponse);
    const { rootSha256 } = await show('sn-42');
    const wipe = async () => {
      await world.setState('sn-42', 'quarantine');
      await world.operator.send('POST', '/v1/devices/sn-42/wiped', { reason: 'erased' }, stateResponse);
    };
    const onSameBoard = async (id: string) => {
      const next = fleet.keep(await TestDevice.with(id, device.rootOfTrust, []));
      next.eventLog = device.eventLog;
      return next;
    };
    await wipe();
    accepted(await (await onSameBoard('sn-42')).tryEnroll(world, undefined), certificateResponse);
    assert.equal((await show('sn-42')).idevid?.serialNumber, 'SN-42');
    await wipe();
    await world.setState('sn-42', 'retire');
    const lines = () => Readable.from([`${JSON.stringify({ id: 'press-42', rootSha256 })}\n`]);
    assert.equal((await world.operator.sendLines('/v1/devices/import', lines, importReport)).rejected, 0);
    accepted(await (await onSameBoard('press-42')).tryEnroll(world, undefined), certificateResponse);
    assert.equal((await show('press-42')).idevid?.serialNumber, 'SN-42');
  },
);

test('a root of the kind idevid proves whose device it is, and lets nobody in without a token', { skip }, async () => {
  const maker = await testManufacturer('Root Works');
  const device = await fleet.newDevice('root-works-1');
  await giveIdevid(maker, hardwareOf(device), 'ROOT-WORKS-1');
  refusedFor(await device.tryEnroll(fleet.world, undefined), 'idevid-authority-unknown');
  const order = { kind: 'idevid', certificates: [Buffer.from(maker.root.der).toString('base64')] };
  await fleet.world.operator.send('POST', '/v1/vendor-roots', order, vendorRootImported);
  assertRefused(await device.tryEnroll(fleet.world, undefined), { status: 403, code: 'enrollment-refused' });
  await assertNotEnrolled('root-works-1');
  await device.enroll(fleet.world);
  const { idevid, enrollmentGroup, makers } = await show('root-works-1');
  assert.deepEqual([idevid?.serialNumber, enrollmentGroup], ['ROOT-WORKS-1', null]);
  assert.deepEqual(
    makers.map(({ kind }) => kind),
    ['idevid', 'tpm'],
  );
  const { roots } = await fleet.world.operator.get('/v1/vendor-roots?kind=idevid', vendorRootList);
  assert.deepEqual(
    roots.map(({ usedBy }) => usedBy),
    [1],
  );
});
