// Enrollment groups over a real hub: each kind that needs no manufacturer, what a device gets, and the bypasses that must be closed.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { parseBase64url } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import * as api from '@edgekeep/wire/api/enrollment-group';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { attributesView, importReport } from '@edgekeep/wire/api/registry';
import { siteView } from '@edgekeep/wire/api/site';
import { accepted, type Answer, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';
import { skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

async function make(world: HubWorld, order: { name: string; kind: string } & Record<string, unknown>): Promise<void> {
  await world.operator.send('POST', '/v1/enrollment-groups', order, api.enrollmentGroupView);
}

async function makeToken(world: HubWorld, name: string, order: { maxUses: number } & Record<string, number>) {
  const path = `/v1/enrollment-groups/${name}/tokens`;
  return (await world.operator.send('POST', path, order, api.groupTokenResponse)).token;
}

async function importLines(world: HubWorld, ...lines: readonly object[]) {
  const body = lines.map((line) => JSON.stringify(line)).join('\n');
  const input = { token: await world.adminToken(), body, contentType: 'application/x-ndjson' };
  return accepted(await world.askOperator('POST', '/v1/devices/import', input), importReport);
}

const refusedFor = (answer: Answer, reason: string, says?: RegExp) =>
  assertRefused(answer, { status: 403, code: 'enrollment-refused', reason, ...(says === undefined ? {} : { says }) });

suite('token groups', () => {
  let world: HubWorld;
  let devices: AsyncDisposableStack;
  before(async () => {
    devices = new AsyncDisposableStack();
    world = devices.use(await HubWorld.open());
    const graz = { name: 'graz', networks: ['127.0.0.0/8'] };
    await world.operator.send('POST', '/v1/sites', { ...graz, timeZone: 'Europe/Vienna' }, siteView);
    await world.operator.send('POST', '/v1/sites', { name: 'cell', networks: ['127.0.0.1/32'] }, siteView);
    await world.operator.send('POST', '/v1/groups', { name: 'pilot' }, siteView.pick({ name: true }));
  });
  after(() => devices?.[Symbol.asyncDispose]());

  const device = async (id: string) => devices.use(await TestDevice.withoutTpm(id, join(world.folder, id)));

  test('a device gets what its group has for it, and what an import said of it itself comes first', async () => {
    const terms = {
      idPrefix: 'press-',
      tags: { line: 'press', owner: 'ada' },
      desired: { fps: 25 },
      siteByAddress: true,
    };
    await make(world, { name: 'line-1', kind: 'token', groups: ['pilot'], terms });
    await importLines(world, { id: 'press-1', tags: { owner: 'grace' } }, { id: 'press-2', site: 'graz' });
    const token = await makeToken(world, 'line-1', { maxUses: 5 });
    for (const id of ['press-1', 'press-2']) {
      accepted(await (await device(id)).tryEnroll(world, token), certificateResponse);
    }
    const first = await world.device('press-1');
    assert.deepEqual(first.tags, { line: 'press', owner: 'grace' });
    assert.deepEqual([first.enrollmentGroup, first.groups, first.site], ['line-1', ['pilot'], 'cell']);
    const { desired } = await world.operator.get('/v1/devices/press-1/attributes', attributesView);
    assert.deepEqual([desired.version, desired.attributes], [1, { fps: 25 }]);
    assert.equal((await world.device('press-2')).site, 'graz');
    const group = await world.operator.get('/v1/enrollment-groups/line-1', api.enrollmentGroupDetail);
    assert.deepEqual([group.devices, group.tokens[0]?.uses], [2, 2]);
    const [entry] = (await world.entries('device-enrolled')).slice(-1);
    assert.equal(JSON.parse(JSON.stringify(entry?.data)).enrolmentGroup, 'line-1');
  });

  test('an id that the group does not take is refused by name', async () => {
    const token = await makeToken(world, 'line-1', { maxUses: 5 });
    refusedFor(
      await (await device('oven-1')).tryEnroll(world, token),
      'device-id-not-allowed',
      /line-1 begin with press-/,
    );
  });

  // SECURITY.md: HUB-15
  test('a token of a group is no way to the id of another device', async () => {
    await importLines(world, { id: 'press-9', rootSha256: sha256(new Uint8Array([9])) });
    const token = await makeToken(world, 'line-1', { maxUses: 9 });
    const thief = await device('press-8');
    const as = (deviceId: string) => ({ start: (honest: object) => ({ ...honest, deviceId }) });
    refusedFor(await thief.tryEnroll(world, token, as('press-9')), 'device-id-reserved');
    refusedFor(await thief.tryEnroll(world, token, as('press-1')), 'device-id-taken');
    const found = await world.operator.get('/v1/devices?filter=enrollmentGroup==line-*', deviceList);
    assert.deepEqual(
      found.devices.map(({ id }) => id),
      ['press-1', 'press-2'],
    );
  });

  // SECURITY.md: HUB-16
  test('a token is refused when it is spent, has ended, or was rolled over', async () => {
    await make(world, { name: 'line-2', kind: 'token' });
    const once = await makeToken(world, 'line-2', { maxUses: 1 });
    accepted(await (await device('saw-1')).tryEnroll(world, once), certificateResponse);
    const unfit = { status: 403, code: 'enrollment-refused', says: /unused, not expired/ };
    assertRefused(await (await device('saw-2')).tryEnroll(world, once), unfit);
    const short = await makeToken(world, 'line-2', { maxUses: 9, lifeSeconds: 60 });
    const older = await makeToken(world, 'line-2', { maxUses: 9 });
    const next = await makeToken(world, 'line-2', { maxUses: 9, olderSeconds: 90 });
    world.clock.advanceSeconds(61);
    assertRefused(await (await device('saw-3')).tryEnroll(world, short), unfit);
    accepted(await (await device('saw-4')).tryEnroll(world, older), certificateResponse);
    world.clock.advanceSeconds(30);
    assertRefused(await (await device('saw-5')).tryEnroll(world, older), unfit);
    accepted(await (await device('saw-6')).tryEnroll(world, next), certificateResponse);
  });

  // SECURITY.md: HUB-16
  test('of two devices that race for the last place of a group, one gets it', async () => {
    await make(world, { name: 'last', kind: 'token', maxDevices: 1 });
    const token = await makeToken(world, 'last', { maxUses: 10 });
    const both = [await device('race-1'), await device('race-2')];
    const answers = await Promise.all(both.map(async (each) => each.tryEnroll(world, token)));
    const refused = answers.filter(({ status }) => status !== 200);
    assert.equal(refused.length, 1);
    for (const answer of refused) refusedFor(answer, 'enrollment-group-full', /last/);
    const group = await world.operator.get('/v1/enrollment-groups/last', api.enrollmentGroupDetail);
    // The enrollment that was refused in the transaction has not used the token.
    assert.deepEqual([group.devices, group.tokens[0]?.uses], [1, 1]);
  });

  // SECURITY.md: HUB-16
  test('of two devices that race for the last use of a token, one gets it', async () => {
    await make(world, { name: 'last-use', kind: 'token' });
    const token = await makeToken(world, 'last-use', { maxUses: 1 });
    const both = [await device('use-1'), await device('use-2')];
    const answers = await Promise.all(both.map(async (each) => each.tryEnroll(world, token)));
    assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  });

  // SECURITY.md: HUB-17
  test('a group that was disabled or deleted while a device was half-way refuses it', async () => {
    await make(world, { name: 'half', kind: 'token' });
    const token = await makeToken(world, 'half', { maxUses: 10 });
    const disable = async () => {
      await world.operator.send(
        'POST',
        '/v1/enrollment-groups/half/disable',
        { reason: 'lost' },
        api.groupSwitchResponse,
      );
    };
    const late = await (await device('half-1')).tryEnroll(world, token, { between: disable });
    refusedFor(late, 'enrollment-group-disabled', /half is disabled: lost/);
    refusedFor(await (await device('half-2')).tryEnroll(world, token), 'enrollment-group-disabled');
    await world.operator.send('POST', '/v1/enrollment-groups/half/enable', {}, api.groupSwitchResponse);
    const remake = async () => {
      await world.operator.send('DELETE', '/v1/enrollment-groups/half', undefined, api.enrollmentGroupDeleted);
      world.clock.advanceSeconds(1);
      await make(world, { name: 'half', kind: 'token' });
    };
    const remade = await (await device('half-3')).tryEnroll(world, token, { between: remake });
    refusedFor(remade, 'enrollment-group-changed');
  });

  // SECURITY.md: HUB-15
  test('a manifest does not spare a device without a TPM its token', async () => {
    await make(world, { name: 'soft', kind: 'manifest' });
    const soft = await device('soft-1');
    const identity = await soft.identity();
    if (identity.kind !== 'software') throw new TypeError('a device without a TPM');
    const rootSha256 = sha256(parseBase64url(identity.signingKey, 'signingKey'));
    assert.equal((await importLines(world, { enrollmentGroup: 'soft', rootSha256 })).listed, 1);
    assertRefused(await soft.tryEnroll(world, undefined), { status: 403, code: 'enrollment-refused', says: /token/ });
    refusedFor(await soft.tryEnroll(world, await makeToken(world, 'line-2', { maxUses: 1 })), 'token-of-another-group');
    accepted(await soft.tryEnroll(world, await world.enrollmentToken()), certificateResponse);
    assert.equal((await world.device('soft-1')).enrollmentGroup, 'soft');
  });

  test('lines that contradict a manifest, or name none, are left out', async () => {
    await make(world, { name: 'other', kind: 'manifest' });
    const digest = sha256(new Uint8Array([1]));
    const report = await importLines(
      world,
      { id: 'listed-1', enrollmentGroup: 'soft', idevidSha256: digest },
      { enrollmentGroup: 'other', idevidSha256: digest },
      { id: 'listed-2', enrollmentGroup: 'soft', idevidSha256: digest },
      { enrollmentGroup: 'nobody', idevidSha256: digest },
      { enrollmentGroup: 'line-1', rootSha256: digest },
      { enrollmentGroup: 'soft' },
      { id: 'listed-3', idevidSha256: digest },
      { id: 'listed-5', enrollmentGroup: 'soft' },
      { id: 'listed-4', site: 'nowhere' },
    );
    assert.deepEqual([report.expected, report.listed, report.rejected], [1, 0, 8]);
    const taken = await (await device('listed-1')).tryEnroll(world, await world.enrollmentToken());
    refusedFor(taken, 'device-id-reserved');
  });

  test('a device group that an enrollment group names is not deleted before it', async () => {
    const answer = await world.askOperator('DELETE', '/v1/groups/pilot', { token: await world.adminToken() });
    assertRefused(answer, { status: 409, code: 'conflict', says: /line-1/ });
  });
});

suite('groups of TPMs', { skip: skipWithoutTpm }, () => {
  let tpms: TpmWorld;
  before(async () => {
    tpms = await TpmWorld.open();
  });
  after(() => tpms?.[Symbol.asyncDispose]());

  test('a vendor’s root as a group lets its TPMs enroll without a token, and none of another vendor', async () => {
    const { world, vendor } = tpms;
    const device = await tpms.newDevice('vendor-1');
    assertRefused(await device.tryEnroll(world, undefined), { status: 403, code: 'enrollment-refused', says: /token/ });
    const [root = new Uint8Array(0)] = parsePem(vendor.root, 'CERTIFICATE');
    const authoritySha256 = sha256(parseCertificate(root).spki);
    await make(world, { name: 'swtpm', kind: 'endorsement-root', authoritySha256, maxDevices: 1 });
    accepted(await device.tryEnroll(world, undefined), certificateResponse);
    assert.equal((await world.device('vendor-1')).enrollmentGroup, 'swtpm');
    const next = await tpms.newDevice('vendor-2');
    refusedFor(await next.tryEnroll(world, undefined), 'enrollment-group-full', /swtpm/);
    // A token does not open a group that is full.
    refusedFor(await next.tryEnroll(world, await world.enrollmentToken()), 'enrollment-group-full');
  });

  // SECURITY.md: HUB-17
  test('a group’s own certificate is an anchor while it is enabled; a blocked root of trust does not pass by it', async () => {
    const { world } = tpms;
    const foreign = await tpms.simulators.start('foreign-vendor', 'foreign');
    const { root, intermediate } = await foreign.vendorCertificates();
    const device = tpms.keep(await TestDevice.withTpm('foreign-1', foreign));
    refusedFor(await device.tryEnroll(world, undefined), 'endorsement-refused');
    await make(world, { name: 'foreign', kind: 'endorsement-root', certificate: intermediate });
    await importLines(world, { block: await rootOf(device), reason: 'lot 9 was stolen' });
    refusedFor(await device.tryEnroll(world, undefined), 'root-of-trust-blocked');
    const other = await tpms.newDevice('foreign-2', undefined, 'foreign');
    const off = { reason: 'a recall' };
    await world.operator.send('POST', '/v1/enrollment-groups/foreign/disable', off, api.groupSwitchResponse);
    refusedFor(await other.tryEnroll(world, undefined), 'enrollment-group-disabled', /a recall/);
    await make(world, { name: 'named', kind: 'manifest' });
    await importLines(world, { enrollmentGroup: 'named', rootSha256: await rootOf(other) });
    refusedFor(await other.tryEnroll(world, undefined), 'enrollment-group-disabled', /foreign/);
    await world.operator.send('POST', '/v1/enrollment-groups/foreign/enable', {}, api.groupSwitchResponse);
    accepted(await other.tryEnroll(world, undefined), certificateResponse);
    assert.equal((await world.device('foreign-2')).enrollmentGroup, 'named');
    assert.notEqual(root, intermediate);
  });

  test('a manifest keeps an id for one TPM, and that TPM for the id', async () => {
    const { world } = tpms;
    const device = await tpms.newDevice('kept-1');
    await make(world, { name: 'kept', kind: 'manifest', terms: { needsToken: true } });
    await importLines(world, { id: 'kept-1', enrollmentGroup: 'kept', rootSha256: await rootOf(device) });
    const start = (honest: object) => ({ ...honest, deviceId: 'kept-2' });
    refusedFor(await device.tryEnroll(world, await world.enrollmentToken(), { start }), 'root-of-trust-reserved');
    assertRefused(await device.tryEnroll(world, undefined), { status: 403, code: 'enrollment-refused', says: /token/ });
    accepted(await device.tryEnroll(world, await makeToken(world, 'kept', { maxUses: 1 })), certificateResponse);
  });
});

async function rootOf(device: TestDevice): Promise<string> {
  const identity = await device.identity();
  if (identity.kind !== 'tpm') throw new TypeError('a device with a TPM');
  return sha256(encodeSpki(publicKeyOf(parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey')))));
}
