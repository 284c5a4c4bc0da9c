// A device whose own evidence shows a boot that nobody accepts stays connected, to attest a better one. Until then its software is an attacker's:
// it gets no orders, its cosignatures count for nothing, and its programs are not trusted any more (spec/api.md, "States of a device").
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { parsePem } from '@edgekeep/core/identity/pem';
import { toBase64url } from '@edgekeep/core/bytes';
import { reportResponse } from '@edgekeep/wire/api/report';
import { certificateList } from '@edgekeep/wire/api/revocation';
import { attributesView } from '@edgekeep/wire/api/registry';
import { declarationView, whoAmI, workloadCertificateResponse } from '@edgekeep/wire/api/workload';
import { accepted, type Answer, assertRefused } from '../support/answer.ts';
import { alteredBoot, healthyBoot, logOf, measure, referenceValuesOf } from '../support/boot.ts';
import { closeAll } from '../support/closing.ts';
import { DeviceLink } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { newOperationalKey, TestDevice } from '../support/test-device.ts';
import { TestWitness } from '../support/witness.ts';

let world: HubWorld;
let device: TestDevice;
let link: DeviceLink;
let program: DeviceLink;
let witness: TestWitness;

before(async () => {
  world = await HubWorld.open({ settings: { workloads: { trustDomain: 'plant.example' } } });
  await world.publishReferenceValues(referenceValuesOf(healthyBoot, '1.0'));
  device = await TestDevice.withoutTpm('press', join(world.folder, 'press'));
  await device.enroll(world);
  link = await device.connect(world.hub);
  await device.attest(link);
  await world.operator.send('POST', '/v1/workloads', { name: 'vision', device: 'press' }, declarationView);
  program = await certifiedProgram();
  witness = new TestWitness(world.hub.logKey, device.witness);
});
after(() => closeAll(program, link, device, world));

/** A program of the device, with its certificate. */
async function certifiedProgram(): Promise<DeviceLink> {
  const { request, privateKeyPem } = await newOperationalKey('vision');
  const answer = await link.ask('POST', '/v1/workloads/vision/certificate', {
    certificateRequest: toBase64url(request),
  });
  const { certificateChain } = accepted(answer, workloadCertificateResponse);
  assert.ok(parsePem(certificateChain, 'CERTIFICATE').length > 1);
  return DeviceLink.open(world.hub, { certificateChainPem: certificateChain, privateKeyPem });
}

/** Restarts the device with another boot; its keys and its connection to the hub are new ones. */
async function reboot(boot: typeof healthyBoot): Promise<void> {
  await closeAll(link, device);
  device = await TestDevice.withoutTpm('press', join(world.folder, 'press'), boot);
  await device.recover(world.hub);
  link = await device.connect(world.hub);
}

const seconds = () => Math.floor(world.clock.now() / 1_000);

async function cosign(): Promise<Answer> {
  await witness.follow(link);
  const checkpoint = Buffer.from(await witness.cosigned(seconds())).toString('utf8');
  return link.ask('POST', '/v1/cosignatures', { checkpoint });
}

async function report(): Promise<unknown> {
  return accepted(await link.ask('POST', '/v1/reports', { desiredVersion: 0 }), reportResponse).desired?.attributes;
}

async function programsRevoked(): Promise<readonly (string | null)[]> {
  const { certificates } = await world.operator.get('/v1/certificates?device=press', certificateList);
  return certificates.filter(({ workload }) => workload === 'vision').map(({ reason }) => reason);
}

test('before: the device is a witness and gets its orders, and its program is let in', async () => {
  const desired = { attributes: { threshold: 0.8 }, replaces: 0 };
  await world.operator.send('PUT', '/v1/devices/press/desired', desired, attributesView);
  assert.deepEqual(await report(), { threshold: 0.8 });
  assert.equal((await cosign()).status, 200);
  accepted(await program.ask('GET', '/v1/whoami'), whoAmI);
  assert.deepEqual(await programsRevoked(), [null]);
});

// SECURITY.md: DEV-72
test('a device that becomes suspect has no programs with a valid certificate: their connections are closed, and new ones refused', async () => {
  // On the live connection: other software was loaded and measured.
  const loaded = alteredBoot.slice(2, 3);
  await measure(device.rootOfTrust, loaded);
  device.eventLog = logOf([...healthyBoot, ...loaded]);
  await device.attest(link);
  assert.equal((await world.device('press')).state, 'suspect');
  await program.closed;
  assert.deepEqual(await programsRevoked(), ['privilegeWithdrawn']);
  assert.ok(link.connected, 'the device itself stays connected');
  const { request } = await newOperationalKey('vision');
  const again = { certificateRequest: toBase64url(request) };
  assertRefused(await link.ask('POST', '/v1/workloads/vision/certificate', again), {
    status: 403,
    code: 'workload-refused',
    reason: 'device-not-active',
  });
});

// SECURITY.md: DEV-72
test('a suspect device gets no desired attributes, and its cosignature is refused', async () => {
  assert.equal(await report(), undefined);
  assertRefused(await cosign(), { status: 422, code: 'cosignature-refused', reason: 'boot-refused' });
});

// SECURITY.md: DEV-72
test('nor after it has bound another connection with the same boot', async () => {
  await reboot(alteredBoot);
  assert.equal(await report(), undefined);
  assertRefused(await cosign(), { status: 422, code: 'cosignature-refused', reason: 'boot-refused' });
});

// SECURITY.md: DEV-72
test('nor does a device that never had an accepted boot, and so never was active', async () => {
  await using fresh = await TestDevice.withoutTpm('fresh', join(world.folder, 'fresh'), alteredBoot);
  await fresh.enroll(world);
  await using own = await fresh.connect(world.hub);
  assert.equal((await world.device('fresh')).state, 'registered');
  await world.operator.send('PUT', '/v1/devices/fresh/desired', { attributes: { a: 1 }, replaces: 0 }, attributesView);
  const told = accepted(await own.ask('POST', '/v1/reports', { desiredVersion: 0 }), reportResponse);
  assert.equal(told.desired, undefined);
  const other = new TestWitness(world.hub.logKey, fresh.witness);
  await other.follow(own);
  const checkpoint = Buffer.from(await other.cosigned(seconds())).toString('utf8');
  assertRefused(await own.ask('POST', '/v1/cosignatures', { checkpoint }), {
    status: 422,
    code: 'cosignature-refused',
    reason: 'boot-refused',
  });
});

test('with an accepted boot it gets its orders, is a witness, and its programs get certificates again', async () => {
  await reboot(healthyBoot);
  assert.deepEqual(await report(), { threshold: 0.8 });
  await using again = await certifiedProgram();
  accepted(await again.ask('GET', '/v1/whoami'), whoAmI);
  assert.equal((await world.device('press')).state, 'active');
});
