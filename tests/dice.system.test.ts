// Devices with DICE against a real hub: the chip and its firmware are simulated (no machine here has one), everything else is real.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { inspect, promisify } from 'node:util';
import { type AgentSettingsInput, parseAgentSettings } from '@edgekeep/agent/settings';
import { startAgent } from '@edgekeep/agent/start-agent';
import { fwidAlgorithms } from '@edgekeep/core/attest/dice/fwid';
import type { ReferenceLayer } from '@edgekeep/core/attest/dice/reference-layer';
import { multiTcbInfoExtension } from '@edgekeep/core/attest/dice/testing-tcb-info';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { verifyAttestationResult } from '@edgekeep/core/attest/ear';
import { parseBase64url, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { basicConstraints, type Extension } from '@edgekeep/core/identity/extensions';
import { CaliptraSimulator } from '@edgekeep/hardware/dice/testing-caliptra';
import { DiceRootOfTrust } from '@edgekeep/hardware/dice/dice-root-of-trust';
import type { DiceHandoff } from '@edgekeep/hardware/dice/handoff';
import {
  type Alteration,
  DiceSimulator,
  DiceVendor,
  type FirmwareLayer,
  writeHandoffFolder,
} from '@edgekeep/hardware/dice/testing-simulator';
import { HardwareError } from '@edgekeep/hardware/error';
import { releaseResponse } from '@edgekeep/wire/api/access';
import { bindResponse, challengeResponse } from '@edgekeep/wire/api/attest';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { enrollmentGroupDeleted, enrollmentGroupView } from '@edgekeep/wire/api/enrollment-group';
import { deviceDetail, stateResponse } from '@edgekeep/wire/api/device-view';
import { policyView } from '@edgekeep/wire/api/policy';
import { vendorRootList, vendorRootRemoved } from '@edgekeep/wire/api/vendor-root';
import { z } from 'zod';
import { closeAll } from './support/closing.ts';
import { accepted, type Answer, assertRefused } from './support/answer.ts';
import { DeviceLink, zeroNonce } from './support/device-link.ts';
import { HubWorld } from './support/hub-world.ts';
import { Story, TestAgent } from './support/test-agent.ts';
import { newOperationalKey, TestDevice } from './support/test-device.ts';

const page = await readFile(join(import.meta.dirname, '../docs/dice.md'), 'utf8');
const [, pagePolicy = ''] = /```cedar\n([\s\S]*?)```/.exec(page) ?? [];
// Other tests cover groups: here every device may have the model.
const policy = pagePolicy.replaceAll('principal in resource.groups && ', '');
const content = 'weights for devices with layers';
const vendor = await DiceVendor.create('Example chips');
let world: HubWorld;
const devices: TestDevice[] = [];

before(async () => {
  world = await HubWorld.open({ diceRoots: [vendor.rootPem] });
  await publishLayers('1.0', firmware());
  await world.publishModel('opaque', '1.0.0', content);
  await world.operator.send('PUT', '/v1/policy', { text: policy }, policyView);
});
after(async () => {
  await closeAll(world, ...devices);
});

interface Versions {
  readonly runtime?: string;
  readonly changes?: Partial<FirmwareLayer>;
}

/** Three layers; the test chooses the last one. */
function firmware({ runtime = 'runtime 1', changes = {} }: Versions = {}): readonly FirmwareLayer[] {
  const common = { vendor: 'Example', model: 'E1', version: '1.0' };
  return [
    { ...common, image: utf8('boot'), svn: 1 },
    { ...common, image: utf8('secure world'), svn: 2, hash: 'sha256' },
    { ...common, image: utf8(runtime), svn: 3, ...changes },
  ];
}

async function publishLayers(version: string, layers: readonly FirmwareLayer[]): Promise<void> {
  const wanted = layers.map(({ image, svn, hash = 'sha384', vendor: maker }, layer): ReferenceLayer => {
    const fwid = `${hash}:${createHash(hash).update(image).digest('hex')}`;
    return { layer, name: `layer ${layer}`, vendor: maker, fwids: [[fwid]], svnLeast: svn };
  });
  const head = { type: 'edgekeep-reference-values/v1', name: 'firmware', bank: 'sha256', events: [] } as const;
  await world.publishReferenceValues({ ...head, version, layers: wanted });
}

async function deviceOn(id: string, handoff: DiceHandoff): Promise<TestDevice> {
  const place = { stateFolder: join(world.folder, `${id}-${crypto.randomUUID()}`), bootId: 'boot-1' };
  const device = await TestDevice.with(id, await DiceRootOfTrust.open(handoff, place));
  devices.push(device);
  return device;
}

async function enrolled(id: string, handoff: DiceHandoff): Promise<TestDevice> {
  const device = await deviceOn(id, handoff);
  await device.enroll(world);
  return device;
}

function newChip(): DiceSimulator {
  return new DiceSimulator(vendor, randomBytes(32));
}

/** A restarted device, which has no certificate any more. */
async function recover(device: TestDevice): Promise<Answer> {
  await using link = await DeviceLink.open(world.hub);
  const start = await link.ask('POST', '/v1/recover/challenge', { deviceId: device.id });
  const { nonce } = accepted(start, challengeResponse);
  const { request, spki } = await newOperationalKey(device.id);
  const ask = { nonce: parseBase64url(nonce, 'nonce'), spki, exporter: link.exporter };
  const proof = await device.certifyProof('recover', ask);
  return await link.ask('POST', '/v1/recover/complete', { ...proof, certificateRequest: toBase64url(request) });
}

const noKey = { status: 403, code: 'attestation-refused' };
const notEnrolled = { status: 403, code: 'enrollment-refused' };

// SECURITY.md: DEV-20
test('a device with approved layers enrolls, binds, and gets a key that only its firmware opens', async () => {
  const chip = newChip();
  const device = await enrolled('healthy', await chip.boot(firmware()));
  await using link = await device.connect(world.hub);
  const { wrappedKey, lease, attestationResult, receipt: text } = await device.release(link, 'opaque', '1.0.0');
  assert.equal(wrappedKey.kind, 'hpke');
  assert.equal((await device.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id })).length, 32);

  const { attestationKeys } = await world.trust();
  const window = { nowSeconds: Math.floor(world.clock.now() / 1_000), maxAgeSeconds: 60, maxSkewSeconds: 60 };
  const [key] = attestationKeys;
  assert.ok(key !== undefined);
  const verdict = verifyAttestationResult(attestationResult, key.publicKey, window);
  assert.ok(verdict.kind === 'verified');
  const { status, tier, layers, policyId, vector } = verdict.result;
  assert.deepEqual([status, tier, vector.hardware], ['affirming', 'dice', 2]);
  assert.match(policyId, /^firmware 1\.0 sha256:[0-9a-f]{64}$/);
  assert.deepEqual(
    layers?.map(({ layer, svn }) => [layer, svn]),
    [
      [0, 1],
      [1, 2],
      [2, 3],
    ],
  );

  // An outsider verifies the receipt alone; no device has cosigned the log yet.
  const trust = await world.trust();
  const unwitnessed = { ...trust, policy: { ...trust.policy, quorum: 0 } };
  const receipt = verifyReceipt(parseBase64url(text, 'receipt'), unwitnessed);
  assert.ok(receipt.kind === 'verified', JSON.stringify(receipt));

  // The same chip with other firmware, and another chip with the same firmware.
  const others = [await chip.boot(firmware({ runtime: 'runtime 2' })), await newChip().boot(firmware())];
  for (const handoff of others) {
    const other = await deviceOn('healthy', handoff);
    await assert.rejects(other.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id }), (error: unknown) => {
      return error instanceof HardwareError && error.code === 'wrapped-key-refused';
    });
  }
});

const boots: readonly (readonly [string, string, readonly FirmwareLayer[], string, RegExp])[] = [
  [
    'debug',
    // SECURITY.md: DEV-17
    'a layer in debug mode is refused the key as dice-flag-set, from every maker',
    firmware({ changes: { flags: ['debug'] } }),
    'dice-flag-set',
    /layer 2 .*debug is set/,
  ],
  [
    'old',
    // SECURITY.md: DEV-17
    'firmware that is too old is refused the key as dice-svn-too-low, from every maker',
    firmware({ changes: { svn: 2 } }),
    'dice-svn-too-low',
    /svn is 2, expected 3/,
  ],
  [
    'unknown',
    // SECURITY.md: DEV-17
    'unknown firmware is refused the key as dice-fwid-unexpected, from every maker',
    firmware({ runtime: 'rootkit' }),
    'dice-fwid-unexpected',
    /layer 2 .*fwids are sha384/,
  ],
  [
    'short',
    // SECURITY.md: DEV-17
    'a missing layer is refused the key as dice-layer-missing, from every maker',
    firmware().slice(0, 2),
    'dice-layer-missing',
    /layer 2 .* is not in the chain/,
  ],
  [
    'long',
    'a layer more than there should be is refused the key as dice-layer-unexpected, from every maker',
    [...firmware(), ...firmware({ runtime: 'hypervisor' }).slice(2)],
    'dice-layer-unexpected',
    /layer 3 has firmware/,
  ],
  [
    'foreign',
    'firmware of another vendor is refused the key as dice-field-differs, from every maker',
    firmware({ changes: { vendor: 'Other' } }),
    'dice-field-differs',
    /vendor is "Other"/,
  ],
];
for (const [id, title, layers, reason, says] of boots) {
  test(title, async () => {
    const device = await enrolled(id, await newChip().boot(layers));
    await using link = await device.connect(world.hub);
    assertRefused(await device.askForKey(link, 'opaque', '1.0.0'), { ...noKey, reason, says });
    const log = (await world.entries('attestation-refused')).filter(({ subject }) => subject === `device:${id}`);
    assert.match(JSON.stringify(log), new RegExp(reason));
  });
}

function replacing(at: number, extension: Extension): Alteration {
  return (template, layer) => {
    if (layer !== at) return template;
    const others = template.extensions.filter(({ oid }) => oid !== extension.oid);
    return { ...template, extensions: [...others, extension] };
  };
}

// Refused at once, or when the evidence shows the chain: no device gets a certificate.
const unknownCritical = { oid: '1.2.3.4', critical: true, value: Uint8Array.of(5, 0) };
const tcbInfoOid = '2.23.133.5.4.1';
const fwid = { algorithm: fwidAlgorithms.sha256.oid, digest: new Uint8Array(32) };
const chains: readonly (readonly [string, Alteration, string, RegExp])[] = [
  [
    'an expired layer certificate is refused at enrollment as dice-path-refused',
    (template, layer) => (layer === 1 ? { ...template, notAfterSeconds: 1_710_000_000 } : template),
    'dice-path-refused',
    /expired at/,
  ],
  [
    // SECURITY.md: DEV-18
    'a path that is longer than the DeviceID allows is refused at enrollment as dice-path-refused',
    replacing(0, basicConstraints(true, 0)),
    'dice-path-refused',
    /allows 0 authorities below it/,
  ],
  [
    // SECURITY.md: DEV-18
    'an unknown critical extension is refused at enrollment as dice-path-refused',
    replacing(2, unknownCritical),
    'dice-path-refused',
    /unknown critical extension 1\.2\.3\.4/,
  ],
  [
    // SECURITY.md: DEV-18
    'a layer that issues although it is no authority is refused at enrollment as dice-path-refused',
    replacing(1, basicConstraints(false)),
    'dice-path-refused',
    /is not an authority/,
  ],
  [
    'a layer without TcbInfo is refused at enrollment as dice-layer-missing',
    (template, layer) =>
      layer === 1 ? { ...template, extensions: template.extensions.filter(({ oid }) => oid !== tcbInfoOid) } : template,
    'dice-layer-missing',
    /is between layers/,
  ],
];
for (const [title, alter, reason, says] of chains) {
  test(title, async () => {
    const answer = await enrollWith('crooked', await newChip().boot(firmware(), alter));
    assertRefused(answer, { ...notEnrolled, reason, says });
    assert.ok(!(await world.entries('device-enrolled')).some(({ subject }) => subject === 'device:crooked'));
  });
}

/** Enrolls with a chain that the agent itself would not accept: the agent's checks do not protect the hub. */
async function enrollWith(
  id: string,
  { chain, aliasKey }: DiceHandoff,
  deviceIdCertificates: readonly Uint8Array[] = chain.slice(-1),
): Promise<Answer> {
  const { chain: honest } = await newChip().boot(firmware());
  const device = await deviceOn(id, { chain: honest, aliasKey });
  return device.tryEnroll(world, await world.enrollmentToken({ deviceId: id }), {
    start: (start) => ({
      ...start,
      identity: { kind: 'dice', deviceIdCertificates: deviceIdCertificates.map(toBase64url) },
    }),
    end: (end) => ({
      ...end,
      evidence: { ...z.object({}).loose().parse(end['evidence']), chain: chain.map(toBase64url) },
    }),
  });
}

// SECURITY.md: DEV-18
test('layers in another order are refused at enrollment', async () => {
  const swapped: Alteration = (template, layer) => {
    if (layer === 0) return template;
    const level = (at: number) => multiTcbInfoExtension([{ layer: at, fwids: [fwid] }]);
    const others = template.extensions.filter(({ oid }) => oid !== tcbInfoOid);
    return { ...template, extensions: [...others, level(3 - layer)] };
  };
  const answer = await enrollWith('swapped', await newChip().boot(firmware(), swapped));
  assertRefused(answer, {
    ...notEnrolled,
    reason: 'dice-layer-order',
    says: /layer 2 issued a certificate of layer 1/,
  });
});

// SECURITY.md: DEV-15
test("another device's DeviceID under an alias key of one's own is refused, and so is the maker's word for another chip", async () => {
  const victim = await newChip().boot(firmware());
  const own = await newChip().boot(firmware());
  const deviceId = victim.chain.slice(-1);
  // Its certificates, preceded by one of the attacker's own.
  const grafted = { ...own, chain: [...own.chain.slice(0, 1), ...victim.chain.slice(1)] };
  const refusal = { ...notEnrolled, reason: 'dice-path-refused', says: /was not issued by the next certificate/ };
  assertRefused(await enrollWith('grafted', grafted), refusal);
  // Its identity, and a whole chain of the attacker's own.
  assertRefused(await enrollWith('borrowed', own, deviceId), { ...notEnrolled, reason: 'dice-device-differs' });
  // Its whole chain, without its key.
  const stolen = { ...own, chain: victim.chain };
  assertRefused(await enrollWith('stolen', stolen), { ...notEnrolled, reason: 'signature-invalid' });
});

// SECURITY.md: DEV-15
test('a maker that is not in dice-roots is refused before any evidence, with any claim about its chips', async () => {
  const other = await DiceVendor.create('Example chips');
  const handoff = await new DiceSimulator(other, randomBytes(32)).boot(firmware());
  assertRefused(await enrollWith('unknown-maker', handoff), { ...notEnrolled, reason: 'dice-path-refused' });
  // A layer in the place of the DeviceID would make a device of each firmware.
  const good = await newChip().boot(firmware());
  const middle = await enrollWith('middle', good, good.chain.slice(1));
  assertRefused(middle, { ...notEnrolled, reason: 'dice-device-differs' });
});

// SECURITY.md: DEV-19
test('an oversized chain and broken certificates are refused before anything is verified', async () => {
  const good = await newChip().boot(firmware());
  const invalid = { status: 400, code: 'request-invalid' };
  const many = Array.from({ length: 9 }, (_, at) => good.chain[at % 3] ?? new Uint8Array(0));
  assertRefused(await enrollWith('many', { ...good, chain: many }, good.chain.slice(-1)), invalid);
  const long = [...good.chain.slice(0, 2), new Uint8Array(9_000)];
  assertRefused(await enrollWith('long-certificate', { ...good, chain: long }, good.chain.slice(-1)), invalid);
  const broken = [...good.chain.slice(0, 2), randomBytes(600)];
  assertRefused(await enrollWith('broken', { ...good, chain: broken }, good.chain.slice(-1)), invalid);
  assertRefused(await enrollWith('nobody', good, []), invalid);
});

// SECURITY.md: DEV-16
test('evidence is good for one answer, one connection and one purpose', async () => {
  const device = await enrolled('replayed', await newChip().boot(firmware()));
  await using link = await device.connect(world.hub);
  const stale = { ...noKey, reason: 'qualifying-data-mismatch' };
  const ask = (evidence: object) => link.ask('POST', '/v1/releases', { model: 'opaque', version: '1.0.0', evidence });
  const evidence = await device.evidence('release', await link.challenge(), link.exporter);
  accepted(await ask(evidence), releaseResponse);
  assertRefused(await ask(evidence), { status: 409, code: 'challenge-missing' });
  await link.challenge();
  assertRefused(await ask(evidence), stale);
  // Refused evidence makes no device suspect: the device did not make it now.
  assert.equal((await world.device('replayed')).state, 'active');
  await using second = await DeviceLink.open(world.hub, device.credential);
  const bound = await device.evidence('bind', zeroNonce, link.exporter);
  const refusal = { status: 403, code: 'bind-refused', reason: 'qualifying-data-mismatch' };
  assertRefused(await second.ask('POST', '/v1/bind', { evidence: bound }), refusal);
});

// SECURITY.md: DEV-16
test('a stolen operational certificate and key do not bind on another chip', async () => {
  const victim = await enrolled('victim', await newChip().boot(firmware()));
  const thief = await deviceOn('victim', await newChip().boot(firmware()));
  await using link = await DeviceLink.open(world.hub, victim.credential);
  assertRefused(await thief.bind(link), { status: 403, code: 'bind-refused', reason: 'dice-device-differs' });
  assertRefused(await recover(thief), { status: 403, code: 'renewal-refused', reason: 'dice-device-differs' });
});

test('after a firmware update the device is the same, and its old firmware ends with its reference values', async () => {
  const chip = newChip();
  await using old = await enrolled('updated', await chip.boot(firmware()));
  await using before = await old.connect(world.hub);
  const { wrappedKey, lease } = await old.release(before, 'opaque', '1.0.0');

  const next = firmware({ runtime: 'runtime 2', changes: { svn: 4 } });
  const device = await deviceOn('updated', await chip.boot(next));
  accepted(await recover(device), certificateResponse);
  await assert.rejects(device.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id }), HardwareError);
  await using link = await DeviceLink.open(world.hub, old.credential);
  accepted(await device.bind(link), bindResponse);
  // The identity is the same; its new firmware is not published yet.
  const refusal = { ...noKey, reason: 'dice-fwid-unexpected' };
  assertRefused(await device.askForKey(link, 'opaque', '1.0.0'), refusal);
  await publishLayers('2.0', next);
  const released = await device.release(link, 'opaque', '1.0.0');
  assert.equal((await device.rootOfTrust.openKey(released.wrappedKey, { leaseId: released.lease.id })).length, 32);

  // If an attacker had copied the old firmware's alias key, it is useless once its set is withdrawn.
  await world.operator.send('POST', '/v1/reference-values/firmware/1.0/withdraw', {}, z.looseObject({}));
  await using copied = await old.connect(world.hub);
  assertRefused(await old.askForKey(copied, 'opaque', '1.0.0'), noKey);
  await publishLayers('1.0.1', firmware());
});

test('a Caliptra chip is known by its LDevID: a firmware update, from the first layer up, is no new device, and gets a key when it is approved', async () => {
  const chip = new CaliptraSimulator(vendor, randomBytes(32), randomBytes(32));
  const first = { fmc: utf8('fmc 1'), runtime: utf8('caliptra runtime 1'), payload: utf8('system 1'), svn: 1 };
  await publishCaliptra('1.0', first);
  await using old = await enrolled('caliptra', await chip.boot(first));
  await using before = await old.connect(world.hub);
  const { wrappedKey, lease } = await old.release(before, 'opaque', '1.0.0');
  const root = async () => (await world.operator.get('/v1/devices/caliptra', deviceDetail)).rootSha256;
  const known = await root();

  const next = { fmc: utf8('fmc 2'), runtime: utf8('caliptra runtime 2'), payload: utf8('system 2'), svn: 2 };
  const handoff = await chip.boot(next);
  const device = await deviceOn('caliptra', handoff);
  accepted(await recover(device), certificateResponse);
  await using link = await DeviceLink.open(world.hub, old.credential);
  accepted(await device.bind(link), bindResponse);
  await assert.rejects(device.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id }), HardwareError);
  assertRefused(await device.askForKey(link, 'opaque', '1.0.0'), { ...noKey, reason: 'dice-fwid-unexpected' });
  await publishCaliptra('2.0', next);
  const released = await device.release(link, 'opaque', '1.0.0');
  assert.equal((await device.rootOfTrust.openKey(released.wrappedKey, { leaseId: released.lease.id })).length, 32);
  assert.equal(await root(), known);

  // Its FMC alias is no identity to enroll with: it would make a device of each firmware.
  const alias = await enrollWith('caliptra-alias', handoff, handoff.chain.slice(2));
  assertRefused(alias, { ...notEnrolled, reason: 'dice-device-differs' });
  // Another owner's entropy in the same chip, and another chip, are other devices.
  const other = new CaliptraSimulator(vendor, randomBytes(32), randomBytes(32));
  const stranger = await deviceOn('caliptra', await other.boot(next));
  assertRefused(await recover(stranger), { status: 403, code: 'renewal-refused', reason: 'dice-device-differs' });
});

async function publishCaliptra(
  version: string,
  { fmc, runtime, payload, svn }: Parameters<CaliptraSimulator['boot']>[0],
): Promise<void> {
  const fwidOf = (image: Uint8Array) => `sha384:${createHash('sha384').update(image).digest('hex')}`;
  const layers: readonly ReferenceLayer[] = [
    { layer: 0, name: 'fuses', fwids: [[fwidOf(utf8('fuses'))]] },
    { layer: 0, index: 1, name: 'fmc', fwids: [[fwidOf(fmc)]], svnLeast: svn },
    { layer: 1, name: 'runtime', fwids: [[fwidOf(runtime)]], svnLeast: svn },
    { layer: 2, name: 'system', fwids: [[fwidOf(payload)]] },
  ];
  const head = { type: 'edgekeep-reference-values/v1', name: 'caliptra', bank: 'sha256', events: [] } as const;
  await world.publishReferenceValues({ ...head, version, layers });
}

test('a certificate is renewed for a key that the chain vouches for, and for no other', async () => {
  const device = await enrolled('renewed', await newChip().boot(firmware()));
  const other = await deviceOn('renewed', await newChip().boot(firmware()));
  await using link = await device.connect(world.hub);
  const renew = async (by: TestDevice) => {
    const { request, spki } = await newOperationalKey('renewed');
    const ask = { nonce: await link.challenge(), spki, exporter: link.exporter };
    const proof = await by.certifyProof('renew', ask, { identity: await device.identity() });
    return link.ask('POST', '/v1/renew', { ...proof, certificateRequest: toBase64url(request) });
  };
  accepted(await renew(device), certificateResponse);
  assertRefused(await renew(other), { status: 403, code: 'renewal-refused', reason: 'dice-device-differs' });
});

test('other code in layer 0 is another DeviceID: the hub takes it for no device it knows', async () => {
  const chip = newChip();
  await enrolled('reborn', await chip.boot(firmware()));
  const [, ...above] = firmware();
  const [boot] = firmware();
  assert.ok(boot !== undefined);
  const changed = await deviceOn('reborn', await chip.boot([{ ...boot, image: utf8('boot 2') }, ...above]));
  assertRefused(await recover(changed), { status: 403, code: 'renewal-refused', reason: 'dice-device-differs' });
});

test('one chip is one device, and a device without a token needs a group that speaks for its maker', async () => {
  const handoff = await newChip().boot(firmware());
  const first = await enrolled('first-name', handoff);
  const second = await deviceOn('second-name', handoff);
  const again = await second.tryEnroll(world, await world.enrollmentToken({ deviceId: 'second-name' }));
  assertRefused(again, { ...notEnrolled, reason: 'root-of-trust-taken' });
  assert.equal((await world.device(first.id)).tier, 'dice');

  const newcomer = await deviceOn('line-1', await newChip().boot(firmware()));
  assertRefused(await newcomer.tryEnroll(world, undefined), notEnrolled);
  const order = { name: 'line', kind: 'ca', certificate: vendor.rootPem, terms: { idPrefix: 'line-', tier: 'dice' } };
  await world.operator.send('POST', '/v1/enrollment-groups', order, enrollmentGroupView);
  accepted(await newcomer.tryEnroll(world, undefined), certificateResponse);
  assert.equal((await world.device('line-1')).enrollmentGroup, 'line');
  const elsewhere = await deviceOn('press-1', await newChip().boot(firmware()));
  assertRefused(await elsewhere.tryEnroll(world, undefined), { ...notEnrolled, reason: 'device-id-not-allowed' });
  // A maker's group admits all of its chips: the tests after this one work without it.
  await world.operator.send('DELETE', '/v1/enrollment-groups/line', undefined, enrollmentGroupDeleted);
});

test('the default policy gives a DICE device no key, and a root that is taken out ends its trust', async () => {
  await using own = await HubWorld.open({ diceRoots: [vendor.rootPem] });
  await own.publishModel('opaque', '1.0.0', content);
  const device = await deviceOn('plain', await newChip().boot(firmware()));
  await device.enroll(own);
  {
    await using link = await device.connect(own.hub);
    assertRefused(await device.askForKey(link, 'opaque', '1.0.0'), { status: 403, code: 'release-refused' });
  }
  const { roots } = await own.operator.get('/v1/vendor-roots?kind=dice', vendorRootList);
  const path = `/v1/vendor-roots/dice/${roots[0]?.sha256}?reason=a%20test`;
  const token = await own.adminToken();
  // It enrolled by this root: a removal says so, and with force still removes it.
  assertRefused(await own.askOperator('DELETE', path, { token }), { status: 409, code: 'conflict' });
  accepted(await own.askOperator('DELETE', `${path}&force=true`, { token }), vendorRootRemoved);
  await using link = await DeviceLink.open(own.hub, device.credential);
  assertRefused(await device.bind(link), { status: 403, code: 'bind-refused', reason: 'dice-path-refused' });
});

test('an agent on a DICE device enrolls and runs, and goes on after a firmware update', async () => {
  const chip = newChip();
  const handoffFolder = join(world.folder, 'handoff');
  await writeHandoffFolder(handoffFolder, await chip.boot(firmware()));
  const models = [{ name: 'opaque', use: 'program' as const }];
  const settings: Partial<AgentSettingsInput> = { rootOfTrust: { kind: 'dice', handoffFolder }, models };
  await using agent = await TestAgent.prepare(world, 'agent', settings);
  await writeFile(
    join(agent.stateFolder, 'enrollment-token'),
    await world.enrollmentToken({ deviceId: 'agent', tier: 'dice' }),
  );
  const story = await agent.start();
  await story.next('enrolled');
  const { tier, status } = await story.next('attested');
  assert.deepEqual([tier, status], ['dice', 'affirming']);
  await story.next('ready');
  const { aliasKey, chain } = await chip.boot(firmware());
  const told = inspect(story.events, { depth: 10 });
  const secret = aliasKey.export({ format: 'jwk' }).d ?? '';
  assert.ok(secret.length > 40 && !told.includes(secret));
  const kept = await filesIn(agent.stateFolder);
  assert.ok(!kept.includes(Buffer.from(secret, 'base64url')) && !kept.includes(secret) && !kept.includes(content));
  assert.equal(chain.length, 3);

  await agent.stop();
  const next = firmware({ runtime: 'runtime 3', changes: { svn: 5 } });
  await publishLayers('3.0', next);
  await writeHandoffFolder(handoffFolder, await chip.boot(next));
  const again = await agent.start();
  await again.next('recovered');
  await again.next('ready');
});

test('a kit for a DICE device has all its agent needs, and enrolls in its tier', async () => {
  const handoffFolder = join(world.folder, 'kit-handoff');
  await writeHandoffFolder(handoffFolder, await newChip().boot(firmware()));
  const stateFolder = join(world.folder, 'kit');
  const words = ['enroll', 'kit', 'kit', '--out', stateFolder, '--operator', world.operatorFile];
  const main = join(import.meta.dirname, '../cli/src/main.ts');
  await promisify(execFile)(process.execPath, [main, ...words, '--dice', handoffFolder]);
  const text = await readFile(join(stateFolder, 'agent.json'), 'utf8');
  const story = new Story();
  const settings = parseAgentSettings({ ...JSON.parse(text), stateFolder, checkinSeconds: 0.3 });
  await using agent = await startAgent(settings, { onEvent: story.observe });
  await story.next('enrolled');
  assert.deepEqual([agent.status().deviceId, (await world.device('kit')).tier], ['kit', 'dice']);
});

async function filesIn(folder: string): Promise<Buffer> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Buffer.concat(await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name)))));
}

test('a wiped device comes back with a token made since, not by keys that its firmware may have given away', async () => {
  const chip = newChip();
  const id = 'wiped-1';
  await enrolled(id, await chip.boot(firmware()));
  for (const order of ['quarantine', 'wiped']) {
    await world.operator.send('POST', `/v1/devices/${id}/${order}`, { reason: 'firmware was replaced' }, stateResponse);
  }
  const again = await deviceOn(id, await chip.boot(firmware()));
  const alone = await again.tryEnroll(world, undefined);
  assertRefused(alone, { ...notEnrolled, reason: 'token-not-fresh' });
  world.clock.advanceSeconds(1);
  const stranger = await deviceOn(id, await newChip().boot(firmware()));
  const fresh = await world.enrollmentToken({ deviceId: id });
  assertRefused(await stranger.tryEnroll(world, fresh), { ...notEnrolled, reason: 'root-of-trust-differs' });
  accepted(await again.tryEnroll(world, fresh), certificateResponse);
  await using link = await again.connect(world.hub);
  await again.release(link, 'opaque', '1.0.0');
});
