// Revocation takes effect: live connections end, whichever node took the order, and no others. `bench/revocation.ts` measures how fast.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sha256Hex } from '@edgekeep/core/digest';
import { revoke, type RevocationTarget } from '@edgekeep/hub/respond/revoke';
import { RevocationWatch } from '@edgekeep/hub/revocation/watch';
import { Database } from '@edgekeep/hub/store/database';
import { challengeResponse } from '@edgekeep/wire/api/attest';
import { certificateList, revocationResponse } from '@edgekeep/wire/api/revocation';
import { closeAll } from '../support/closing.ts';
import { assertRefused } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { editStore } from '../support/edited-store.ts';

let fleet: SoftwareWorld;
const opened: AsyncDisposable[] = [];
before(async () => {
  // The slowest allowed setting.
  fleet = await SoftwareWorld.open({ revocation: { pollMilliseconds: 1_000 } });
  await fleet.world.publishModel('surface', '1.0.0', 'weights');
});
after(async () => {
  await closeAll(fleet, ...opened);
});

async function newDevice(id: string): Promise<{ device: TestDevice; link: DeviceLink }> {
  const device = await TestDevice.withoutTpm(id, join(fleet.world.folder, id));
  opened.push(device);
  await device.enroll(fleet.world);
  const link = await device.connect(fleet.world.hub);
  opened.push(link);
  return { device, link };
}

async function serialOf(deviceId: string): Promise<string> {
  const { certificates } = await fleet.world.operator.get(`/v1/certificates?device=${deviceId}`, certificateList);
  return certificates.at(-1)?.serial ?? '';
}

/** What another hub node on the same store does with an order: it knows nothing about our connections. */
async function revokeElsewhere(target: RevocationTarget): Promise<void> {
  await using database = await Database.open(fleet.world.place);
  const watch = await RevocationWatch.start(database, () => undefined, 1_000);
  const order = { target, reason: 'keyCompromise', note: 'a test', mayReturn: false, actor: 'ada', nowMs: Date.now() };
  await revoke({ database, connections: { cut: () => 0 }, watch }, { ...order, reason: 'keyCompromise' });
  await editStore(fleet.world.place, async () => undefined);
}

test('revoking one certificate closes its connections, and nobody else’s', async () => {
  const { device, link } = await newDevice('stolen');
  const other = await newDevice('bystander');
  const released = await device.release(link, 'surface', '1.0.0');
  const order = { serials: [await serialOf('stolen')], reason: 'keyCompromise', note: 'a test' };
  const done = await fleet.world.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
  await link.closed;
  assert.deepEqual([done.certificates, done.connectionsClosed, done.leasesVoided], [1, 1, 1]);
  assert.ok(other.link.connected);
  assert.equal((await other.link.ask('GET', '/v1/checkpoint?from=0')).status, 200);
  const { leases } = await fleet.world.device('stolen');
  assert.notEqual(leases.find(({ id }) => id === released.lease.id)?.revokedAt, null);

  await using again = await DeviceLink.open(fleet.world.hub, device.credential);
  assertRefused(await device.bind(again), { status: 403, code: 'certificate-revoked' });
});

test('an order given on another node closes the connections this node holds', async (t) => {
  await t.test('of one certificate', async () => {
    const { link } = await newDevice('far-1');
    await revokeElsewhere({ kind: 'serials', serials: [await serialOf('far-1')] });
    await link.closed;
  });
  await t.test('of a whole device', async () => {
    const { device, link } = await newDevice('far-2');
    await revokeElsewhere({ kind: 'devices', ids: ['far-2'] });
    await link.closed;
    await using again = await DeviceLink.open(fleet.world.hub, device.credential);
    assertRefused(await device.bind(again), { status: 403, code: 'device-quarantined' });
  });
  assert.ok(fleet.link.connected);
});

test('no key leaves after the order is durable, even before this node has read it', async () => {
  const { device, link } = await newDevice('racing');
  const nonce = await link.challenge();
  const { certificates } = await fleet.world.operator.get('/v1/certificates?device=racing', certificateList);
  const proof = await device.releaseProof(nonce, link.exporter);
  const body = { model: 'surface', version: '1.0.0', ...proof };
  await revokeElsewhere({ kind: 'certificates', digests: certificates.map(({ sha256 }) => sha256) });
  // Either the connection is cut already, or the release is refused in its own transaction.
  const answer = await link.ask('POST', '/v1/releases', body).catch(() => undefined);
  if (answer !== undefined) assertRefused(answer, { status: 403, code: 'certificate-revoked' });
  const { leases } = await fleet.world.device('racing');
  assert.deepEqual(leases, []);
});

test('a device that may return proves itself and gets another certificate', async () => {
  const { device, link } = await newDevice('honest');
  const order = { devices: ['honest'], reason: 'superseded', note: 'a test', mayReturn: true };
  await fleet.world.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
  await link.closed;
  await using again = await DeviceLink.open(fleet.world.hub, device.credential);
  assertRefused(await device.bind(again), { status: 403, code: 'certificate-revoked' });
  const answer = await again.ask('POST', '/v1/recover/challenge', { deviceId: 'honest' });
  assert.equal(answer.status, 200);
  assert.ok(challengeResponse.parse(JSON.parse(Buffer.from(answer.body).toString())).nonce.length > 0);
});

test('the operator call asks for the scope, and for one kind of name', async () => {
  const { world } = fleet;
  const ask = async (token: string, body: object) =>
    world.askOperator('POST', '/v1/certificates/revoke', { token, body: JSON.stringify(body) });
  const order = { devices: ['software'], reason: 'superseded', note: 'a test' };
  const reader = await world.apiToken(['devices:read']);
  assertRefused(await ask(reader, order), { status: 403, code: 'scope-missing' });
  const writer = await world.apiToken(['devices:write']);
  const wrong = [
    { ...order, devices: undefined },
    { ...order, serials: ['ab'] },
    { ...order, devices: [] },
    { ...order, devices: Array.from({ length: 10_001 }, (_, at) => `d-${at}`) },
    { ...order, reason: 'certificateHold' },
    { ...order, reason: 'cACompromise' },
    { ...order, note: '' },
    { ...order, devices: undefined, serials: ['0abc'] },
    { ...order, devices: undefined, sha256: [sha256Hex('x').toUpperCase()] },
    { ...order, surprise: 1 },
  ];
  for (const body of wrong) assertRefused(await ask(writer, body), { status: 400, code: 'request-invalid' });
  assert.ok(fleet.link.connected);
});
