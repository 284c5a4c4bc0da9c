// Certificates of workloads in the hands of an attacker who wants to use them for something else, or after their device was cut off.
import assert from 'node:assert/strict';
import { createPrivateKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toBase64url } from '@edgekeep/core/bytes';
import { parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { workloadOf } from '@edgekeep/core/identity/svid';
import { policyView } from '@edgekeep/wire/api/policy';
import { certificateList } from '@edgekeep/wire/api/revocation';
import { enabledResponse, groupView } from '@edgekeep/wire/api/registry';
import * as api from '@edgekeep/wire/api/workload';
import { signerFromKey } from '@edgekeep/core/signer';
import { encodeCertificateRequest } from '@edgekeep/core/identity/request';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { closeAll } from '../support/closing.ts';
import { accepted, type Answer, assertRefused } from '../support/answer.ts';
import { alteredBoot, healthyBoot, referenceValuesOf } from '../support/boot.ts';
import { DeviceLink } from '../support/device-link.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { newOperationalKey, TestDevice } from '../support/test-device.ts';

let fleet: SoftwareWorld;
const opened: AsyncDisposable[] = [];
before(async () => {
  fleet = await SoftwareWorld.open({ workloads: { trustDomain: 'plant.example' } });
  await fleet.device.attest(fleet.link);
  await declare('vision', { device: 'software' });
});
after(async () => {
  await closeAll(fleet, ...opened);
});

async function declare(name: string, target: object): Promise<void> {
  await fleet.world.operator.send('POST', '/v1/workloads', { name, ...target }, api.declarationView);
}

async function ask(link: DeviceLink, name: string, request: Uint8Array): Promise<Answer> {
  const body = { certificateRequest: toBase64url(request) };
  return link.ask('POST', `/v1/workloads/${name}/certificate`, body);
}

/** A workload's certificate, its key and its TLS client. */
async function certificateOf(link: DeviceLink, name: string) {
  const { request, privateKeyPem } = await newOperationalKey('whatever-it-asks-for');
  const answer = accepted(await ask(link, name, request), api.workloadCertificateResponse);
  const [der = new Uint8Array(0)] = parsePem(answer.certificateChain, 'CERTIFICATE');
  return { ...answer, leaf: parseCertificate(der), privateKeyPem };
}

async function connectAs({ certificateChain, privateKeyPem }: { certificateChain: string; privateKeyPem: string }) {
  await using stack = new AsyncDisposableStack();
  const credential = { certificateChainPem: certificateChain, privateKeyPem };
  const link = stack.use(await DeviceLink.open(fleet.world.hub, credential));
  opened.push(stack.move());
  return link;
}

/** A device that is bound and attested. */
async function newDevice(id: string): Promise<{ device: TestDevice; link: DeviceLink }> {
  const device = await TestDevice.withoutTpm(id, join(fleet.world.folder, id));
  opened.push(device);
  await device.enroll(fleet.world);
  const link = await device.connect(fleet.world.hub);
  opened.push(link);
  await device.attest(link);
  return { device, link };
}

async function revokedOf(deviceId: string, workload: string | null): Promise<readonly (string | null)[]> {
  const { certificates } = await fleet.world.operator.get(`/v1/certificates?device=${deviceId}`, certificateList);
  return certificates.filter((each) => each.workload === workload).map(({ reason }) => reason);
}

test('a declared workload gets a certificate that names it and nothing it asked for', async () => {
  const { leaf, spiffeId, certificateChain } = await certificateOf(fleet.link, 'vision');
  assert.equal(spiffeId, 'spiffe://plant.example/device/software/workload/vision');
  const expected = { trustDomain: 'plant.example', deviceId: 'software', workload: 'vision' };
  assert.deepEqual(workloadOf(leaf), expected);
  const shown = new X509Certificate(certificateChain);
  assert.equal(shown.subjectAltName, `URI:${spiffeId}`);
  assert.equal(shown.ca, false);
  const [entry] = await fleet.world.entries('workload-certified');
  assert.equal(entry?.subject, 'device:software');
});

test('what is not declared, a name that is none, and a key that speaks for the device are refused', async () => {
  const { request } = await newOperationalKey('x');
  const refused = { status: 403, code: 'workload-refused' };
  assertRefused(await ask(fleet.link, 'torque', request), { ...refused, reason: 'not-declared' });
  assertRefused(await ask(fleet.link, 'Vision', request), { status: 400, code: 'request-invalid' });
  assertRefused(await ask(fleet.link, 'vision%2Fx', request), { status: 400, code: 'request-invalid' });
  assertRefused(await ask(fleet.link, 'vision', new Uint8Array([1, 2])), { status: 400, code: 'request-invalid' });
  const signer = signerFromKey(createPrivateKey(fleet.device.credential.privateKeyPem));
  const own = await encodeCertificateRequest({ subject: commonNameOnly('vision') }, signer);
  assertRefused(await ask(fleet.link, 'vision', own), { ...refused, reason: 'key-in-use' });
  await declare('twin', { device: 'software' });
  accepted(await ask(fleet.link, 'vision', request), api.workloadCertificateResponse);
  assertRefused(await ask(fleet.link, 'twin', request), { ...refused, reason: 'key-in-use' });
});

test('only the bound connection of the device itself gets one', async () => {
  const { request } = await newOperationalKey('x');
  await using stranger = await DeviceLink.open(fleet.world.hub);
  assertRefused(await ask(stranger, 'vision', request), { status: 401, code: 'certificate-required' });
  await using unbound = await DeviceLink.open(fleet.world.hub, fleet.device.credential);
  assertRefused(await ask(unbound, 'vision', request), { status: 401, code: 'connection-unbound' });
  const other = await newDevice('other');
  assertRefused(await ask(other.link, 'vision', request), { status: 403, code: 'workload-refused' });
  const workload = await connectAs(await certificateOf(fleet.link, 'vision'));
  assertRefused(await ask(workload, 'vision', request), { status: 401, code: 'certificate-required' });
});

test('a device whose boot is refused gets none', async () => {
  await fleet.world.publishReferenceValues(referenceValuesOf(healthyBoot, '1.0'));
  const device = await TestDevice.withoutTpm('altered', join(fleet.world.folder, 'altered'), alteredBoot);
  opened.push(device);
  await device.enroll(fleet.world);
  await declare('vision', { device: 'altered' });
  await using link = await device.connect(fleet.world.hub);
  await device.attest(link);
  assert.notEqual((await fleet.world.device('altered')).state, 'active');
  const { request } = await newOperationalKey('x');
  const refused = { status: 403, code: 'workload-refused', reason: 'device-not-active' };
  assertRefused(await ask(link, 'vision', request), refused);
});

// SECURITY.md: HUB-02
test('the hub takes a workload for a workload: it is no device on any route', async () => {
  const link = await connectAs(await certificateOf(fleet.link, 'vision'));
  const who = accepted(await link.ask('GET', '/v1/whoami'), api.whoAmI);
  assert.equal(who.kind === 'workload' && who.spiffeId, 'spiffe://plant.example/device/software/workload/vision');
  for (const [method, path, body] of [
    ['POST', '/v1/challenges', undefined],
    ['POST', '/v1/bind', { evidence: await fleet.device.evidence('bind', new Uint8Array(32), link.exporter) }],
    ['GET', '/v1/models/surface', undefined],
    ['GET', '/v1/checkpoint?from=0', undefined],
    ['POST', '/v1/reports', {}],
  ] as const)
    assertRefused(await link.ask(method, path, body), { status: 401, code: 'certificate-required' });
  const device = accepted(await fleet.link.ask('GET', '/v1/whoami'), api.whoAmI);
  assert.deepEqual([device.kind, device.deviceId], ['device', 'software']);
  await using stranger = await DeviceLink.open(fleet.world.hub);
  assertRefused(await stranger.ask('GET', '/v1/whoami'), { status: 401, code: 'certificate-required' });
});

test('a certificate without its key opens no connection', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const { certificateChain } = await certificateOf(fleet.link, 'vision');
  const stolen = { certificateChain, privateKeyPem: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() };
  await assert.rejects(() => connectAs(stolen));
});

// SECURITY.md: HUB-03
test('every order that cuts a device off ends its workloads in the same moment, and their live connections', async (t) => {
  for (const [verb, send] of [
    ['quarantine', () => fleet.world.setState('cut-quarantine', 'quarantine')],
    ['retire', () => fleet.world.setState('cut-retire', 'retire')],
    [
      'disable',
      () => fleet.world.operator.send('POST', '/v1/devices/cut-disable/disable', { reason: 'x' }, enabledResponse),
    ],
  ] as const) {
    await t.test(verb, async () => {
      const id = `cut-${verb}`;
      const { link } = await newDevice(id);
      await declare('vision', { device: id });
      const made = await certificateOf(link, 'vision');
      const workload = await connectAs(made);
      assert.equal((await workload.ask('GET', '/v1/whoami')).status, 200);
      await send();
      await workload.closed;
      const reasons = await revokedOf(id, 'vision');
      assert.deepEqual(reasons, [verb === 'retire' ? 'cessationOfOperation' : 'privilegeWithdrawn']);
      const again = await connectAs(made);
      assertRefused(await again.ask('GET', '/v1/whoami'), { status: 403, code: 'certificate-revoked' });
    });
  }
});

test('disabling a workload ends it alone; enabled again, it gets another and the old one stays revoked', async () => {
  await declare('torque', { device: 'software' });
  const made = await certificateOf(fleet.link, 'torque');
  const link = await connectAs(made);
  assert.equal((await link.ask('GET', '/v1/whoami')).status, 200);
  const path = '/v1/devices/software/workloads/torque';
  const order = { reason: 'a test' };
  const off = await fleet.world.operator.send('POST', `${path}/disable`, order, api.workloadSwitched);
  assert.equal(off.certificatesRevoked, 1);
  await link.closed;
  const { request } = await newOperationalKey('x');
  const refused = { status: 403, code: 'workload-refused', reason: 'workload-disabled' };
  assertRefused(await ask(fleet.link, 'torque', request), refused);
  accepted(await ask(fleet.link, 'vision', request), api.workloadCertificateResponse);
  assert.equal((await fleet.world.device('software')).state, 'active');
  await fleet.world.operator.send('POST', `${path}/enable`, {}, api.workloadSwitched);
  const { leaf } = await certificateOf(fleet.link, 'torque');
  assert.notEqual(serialText(leaf), serialText(made.leaf));
  const { changes } = await fleet.world.operator.get(`${path}/history`, api.workloadHistory);
  assert.deepEqual(
    changes.map(({ change }) => change),
    ['enabled', 'disabled', 'registered', 'declared'],
  );
});

test('a group declares for the devices that are in it now, and taking a declaration back ends it', async () => {
  const { link } = await newDevice('member');
  await fleet.world.operator.send('POST', '/v1/groups', { name: 'presses', filter: 'tags.line==press' }, groupView);
  await declare('audio', { group: 'presses' });
  const { request } = await newOperationalKey('x');
  const refused = { status: 403, code: 'workload-refused', reason: 'not-declared' };
  assertRefused(await ask(link, 'audio', request), refused);
  const tags = await fleet.world.askOperator('POST', '/v1/devices/member/tags', {
    token: await fleet.world.adminToken(),
    body: JSON.stringify({ set: { line: 'press' } }),
  });
  assert.equal(tags.status, 200);
  await certificateOf(link, 'audio');
  const path = '/v1/workloads/audio/remove';
  await fleet.world.operator.send('POST', path, { group: 'presses' }, api.workloadRemoved);
  assertRefused(await ask(link, 'audio', request), refused);
  await declare('audio', { device: 'member' });
  const { certificatesRevoked } = await fleet.world.operator.send(
    'POST',
    path,
    { device: 'member' },
    api.workloadRemoved,
  );
  assert.equal(certificatesRevoked, 1);
});

test('the policy decides about a workload apart from its device', async () => {
  await declare('banned', { device: 'software' });
  const made = await certificateOf(fleet.link, 'banned');
  const link = await connectAs(made);
  assert.equal((await link.ask('GET', '/v1/whoami')).status, 200);
  const { text } = await fleet.world.operator.get('/v1/policy', policyView);
  const forbidden = `@id("no-banned") forbid (principal == Edgekeep::Workload::"${made.spiffeId}", action, resource);`;
  await fleet.world.operator.send('PUT', '/v1/policy', { text: `${text}\n${forbidden}` }, policyView);
  const refused = { status: 403, code: 'access-refused', says: /no-banned/ };
  assertRefused(await link.ask('GET', '/v1/whoami'), refused);
  const { request } = await newOperationalKey('x');
  assertRefused(await ask(fleet.link, 'banned', request), refused);
  accepted(await ask(fleet.link, 'vision', request), api.workloadCertificateResponse);
  assert.equal((await fleet.link.ask('POST', '/v1/challenges')).status, 200);
  await fleet.world.operator.send('PUT', '/v1/policy', { text }, policyView);
});

test('a program gone wrong gets no more certificates than it can mean', async () => {
  const { link } = await newDevice('greedy');
  await declare('vision', { device: 'greedy' });
  const { request } = await newOperationalKey('x');
  for (let count = 0; count < 16; count += 1)
    accepted(await ask(link, 'vision', request), api.workloadCertificateResponse);
  assertRefused(await ask(link, 'vision', request), { status: 429, code: 'rate-limited' });
});

test('a certificate of another trust domain counts as none, also under our own authority', async () => {
  const made = await certificateOf(fleet.link, 'vision');
  await using elsewhere = await SoftwareWorld.open({ workloads: { trustDomain: 'other.example' } });
  await assert.rejects(async () => {
    const credential = { certificateChainPem: made.certificateChain, privateKeyPem: made.privateKeyPem };
    await using link = await DeviceLink.open(elsewhere.world.hub, credential);
    accepted(await link.ask('GET', '/v1/whoami'), api.whoAmI);
  });
});
