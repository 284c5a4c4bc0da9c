// A wiped device: its old identity is refused permanently, it proves itself again, and its history is kept.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { parseTlogProof, verifyTlogProof } from '@edgekeep/core/audit/proof';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { parsePublic, publicKeyOf } from '@edgekeep/core/tpm/public-area';
import { challengeResponse } from '@edgekeep/wire/api/attest';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { reportResponse } from '@edgekeep/wire/api/report';
import { auditProof } from '@edgekeep/wire/api/audit';
import { deviceDetail, deviceList, replaceRootResponse, stateResponse } from '@edgekeep/wire/api/device-view';
import { attributesView, historyView, importReport } from '@edgekeep/wire/api/registry';
import { accepted, assertRefused } from './support/answer.ts';
import { DeviceLink } from './support/device-link.ts';
import { HubWorld } from './support/hub-world.ts';
import { allowSoftware, TestAgent } from './support/test-agent.ts';
import { newOperationalKey, TestDevice } from './support/test-device.ts';
import { model, skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

async function wipe(world: HubWorld, id: string): Promise<void> {
  await world.setState(id, 'quarantine');
  // The token that brings it back is made later than this.
  const order = { reason: 'erased in the workshop' };
  assert.equal((await world.operator.send('POST', `/v1/devices/${id}/wiped`, order, stateResponse)).state, 'wiped');
}

async function orderRefused(world: HubWorld, path: string, body: object, says: RegExp): Promise<void> {
  const input = { token: await world.adminToken(), body: JSON.stringify(body) };
  assertRefused(await world.askOperator('POST', path, input), { status: 409, code: 'conflict', says });
}

async function importLine(world: HubWorld, line: object): Promise<void> {
  const token = await world.adminToken();
  const input = { token, body: JSON.stringify(line), contentType: 'application/x-ndjson' };
  const report = accepted(await world.askOperator('POST', '/v1/devices/import', input), importReport);
  assert.equal(report.rejected, 0, JSON.stringify(report));
}

const because = { reason: 'a test' };

/** A recovery with a key and evidence of the caller's choice. */
async function recover(world: HubWorld, device: TestDevice, key: Awaited<ReturnType<typeof newOperationalKey>>) {
  await using link = await DeviceLink.open(world.hub);
  const start = await link.ask('POST', '/v1/recover/challenge', { deviceId: device.id });
  const { nonce } = accepted(start, challengeResponse);
  const ask = { nonce: parseBase64url(nonce, 'nonce'), spki: key.spki, exporter: link.exporter };
  // Awaited before the link is closed.
  return await link.ask('POST', '/v1/recover/complete', {
    ...(await device.certifyProof('recover', ask)),
    certificateRequest: toBase64url(key.request),
  });
}

suite('a device with a TPM', { skip: skipWithoutTpm }, () => {
  let tpms: TpmWorld;
  before(async () => {
    tpms = await TpmWorld.open();
  });
  after(() => tpms?.[Symbol.asyncDispose]());

  // SECURITY.md: HUB-18
  test('active, quarantined, wiped: it enrolls again without an operator as a new identity and gets a key', async () => {
    const { world } = tpms;
    const simulator = await tpms.simulator('press-1');
    const first = tpms.keep(await TestDevice.withTpm('press-1', simulator));
    await first.enroll(world);
    const tags = { set: { line: 'press' } };
    await world.operator.send('POST', '/v1/devices/press-1/tags', tags, deviceDetail.pick({ tags: true }));
    {
      await using link = await first.connect(world.hub);
      await first.release(link, model.name, model.version);
      accepted(await link.ask('POST', '/v1/reports', { attributes: { os: '12.7' } }), reportResponse);
    }
    const oldCredential = first.credential;
    const before = await world.device('press-1');
    await orderRefused(world, '/v1/devices/press-1/wiped', because, /is active: it cannot become wiped/);
    await wipe(world, 'press-1');

    const wiped = await world.device('press-1');
    assert.ok(wiped.certificates.every(({ revokedAt }) => revokedAt !== null));
    assert.ok(wiped.leases.every(({ revokedAt }) => revokedAt !== null));
    assert.deepEqual([wiped.witnessKey, wiped.appraisal, wiped.counts], ['', null, null]);
    const { reported } = await world.operator.get('/v1/devices/press-1/attributes', attributesView);
    assert.equal(reported.version, 0);
    await orderRefused(world, '/v1/devices/press-1/release', because, /enrolling again/);
    const list = await world.operator.get('/v1/devices?filter=state==wiped', deviceList);
    assert.deepEqual(
      list.devices.map(({ id }) => id),
      ['press-1'],
    );
    const late = await recover(world, first, await newOperationalKey('press-1'));
    assertRefused(late, { status: 403, code: 'device-quarantined', says: /wiped/ });

    // The wipe removed its witness key: this is the same TPM with an empty disk.
    const again = tpms.keep(await TestDevice.with('press-1', first.rootOfTrust, []));
    again.eventLog = first.eventLog;
    accepted(await again.tryEnroll(world, undefined), certificateResponse);
    await using link = await again.connect(world.hub);
    await again.release(link, model.name, model.version);

    const after = await world.device('press-1');
    assert.deepEqual([after.state, after.incarnation, after.tags], ['active', 2, { line: 'press' }]);
    assert.deepEqual(
      after.formerIdentities.map(({ incarnation, rootSha256, reason }) => [incarnation, rootSha256, reason]),
      [[1, before.rootSha256, 'erased in the workshop']],
    );
    assert.notEqual(after.witnessKey, before.witnessKey);
    const standing = after.certificates.filter(({ revokedAt }) => revokedAt === null);
    assert.deepEqual(
      standing.map(({ incarnation }) => incarnation),
      [2],
    );
    assert.equal(after.certificates.length, 2);
    const { changes } = await world.operator.get('/v1/devices/press-1/history', historyView);
    assert.deepEqual(changes.map(({ to }) => to).toReversed(), [
      'registered',
      'active',
      'quarantined',
      'wiped',
      'registered',
      'active',
    ]);
    for (const { logIndex } of changes) {
      const entry = await world.operator.get(`/v1/audit/${logIndex}/proof`, auditProof);
      const leaf = leafHash(parseBase64url(entry.entry, 'entry'));
      const proof = parseTlogProof(Buffer.from(entry.proof));
      assert.equal(verifyTlogProof(proof, leaf, world.hub.logKey, witnessPolicy([], 0)).kind, 'verified');
    }

    // Its old certificate and operational key.
    await using old = await DeviceLink.open(world.hub, oldCredential);
    assertRefused(await again.bind(old), { status: 403, code: 'certificate-revoked' });
  });

  // SECURITY.md: HUB-18
  test('an operational key of a wiped identity is certified by no route again', async () => {
    const { world } = tpms;
    const device = await tpms.device('press-2');
    const key = await newOperationalKey('press-2');
    accepted(await recover(world, device, key), certificateResponse);
    accepted(await recover(world, device, key), certificateResponse);
    await wipe(world, 'press-2');
    const again = tpms.keep(await TestDevice.with('press-2', device.rootOfTrust, []));
    again.eventLog = device.eventLog;
    accepted(await again.tryEnroll(world, undefined), certificateResponse);
    const used = { status: 403, code: 'renewal-refused', reason: 'operational-key-used' };
    assertRefused(await recover(world, again, key), used);
    const other = await tpms.device('press-3');
    assertRefused(await recover(world, other, key), used);
  });

  test('a recovery that is under way when the device is wiped leaves no valid certificate', async () => {
    const { world } = tpms;
    const device = await tpms.device('press-10');
    // The hub appraises before it writes: a certificate must not be recorded for an identity that ended in between.
    const outcomes = await Promise.all([
      recover(world, device, await newOperationalKey('press-10')),
      recover(world, device, await newOperationalKey('press-10')),
      wipe(world, 'press-10'),
    ]);
    for (const outcome of outcomes.slice(0, 2)) {
      const status = outcome === undefined ? 0 : outcome.status;
      assert.ok(status === 200 || status === 403, `answered with ${status}`);
    }
    assert.ok((await world.device('press-10')).certificates.every(({ revokedAt }) => revokedAt !== null));
  });

  // SECURITY.md: HUB-19
  test('the old witness key and another TPM are refused; an ordered TPM is not', async () => {
    const { world } = tpms;
    const device = await tpms.device('press-4');
    const oldRoot = (await world.device('press-4')).rootSha256;
    const refusedFor = (reason: string) => ({ status: 403, code: 'enrollment-refused', reason });
    const board = tpms.keep(await TestDevice.withTpm('press-4', await tpms.simulators.start('board')));
    const swap = { rootSha256: await rootOf(board), reason: 'board swapped' };
    await orderRefused(world, '/v1/devices/press-4/replace-root', swap, /quarantine and wipe it first/);
    await wipe(world, 'press-4');
    const sameWitness = await device.tryEnroll(world, undefined);
    assertRefused(sameWitness, refusedFor('witness-key-taken'));
    const token = await world.enrollmentToken({ deviceId: 'press-4' });
    assertRefused(await board.tryEnroll(world, token), refusedFor('root-of-trust-differs'));
    const soft = await TestDevice.withoutTpm('press-4', join(world.folder, 'press-4-soft'));
    assertRefused(await soft.tryEnroll(world, token), refusedFor('root-of-trust-differs'));
    await soft[Symbol.asyncDispose]();
    const ofAnother = { rootSha256: (await world.device('press-1')).rootSha256, reason: 'a slip' };
    await orderRefused(world, '/v1/devices/press-4/replace-root', ofAnother, /belongs to press-1/);
    await world.operator.send('POST', '/v1/devices/press-4/replace-root', swap, replaceRootResponse);
    assertRefused(await device.tryEnroll(world, undefined), refusedFor('root-of-trust-differs'));
    accepted(await board.tryEnroll(world, undefined), certificateResponse);
    const after = await world.device('press-4');
    assert.deepEqual([after.rootSha256, after.formerIdentities[0]?.rootSha256], [swap.rootSha256, oldRoot]);
    assert.equal((await world.entries('root-of-trust-replaced')).length, 1);

    // The old board cannot enroll again on its own; it enrolls where an operator assigns it.
    const elsewhere = tpms.keep(await TestDevice.with('press-5', device.rootOfTrust, []));
    elsewhere.eventLog = device.eventLog;
    const other = await world.enrollmentToken({ deviceId: 'press-5' });
    assertRefused(await elsewhere.tryEnroll(world, other), refusedFor('root-of-trust-taken'));
    await importLine(world, { id: 'press-5', rootSha256: oldRoot });
    accepted(await elsewhere.tryEnroll(world, undefined), certificateResponse);
  });

  test('hardware whose record has ended becomes another device where an import says so, and each shows the other', async () => {
    const { world } = tpms;
    const device = await tpms.device('press-7');
    const { rootSha256 } = await world.device('press-7');
    await wipe(world, 'press-7');
    const moved = tpms.keep(await TestDevice.with('press-8', device.rootOfTrust, []));
    moved.eventLog = device.eventLog;
    const token = await world.enrollmentToken({ deviceId: 'press-8' });
    const taken = { status: 403, code: 'enrollment-refused', reason: 'root-of-trust-taken' };
    assertRefused(await moved.tryEnroll(world, token), taken);
    await world.setState('press-7', 'retire');
    assertRefused(await moved.tryEnroll(world, token), taken);
    await importLine(world, { id: 'press-8', rootSha256 });
    accepted(await moved.tryEnroll(world, undefined), certificateResponse);
    const [earlier] = (await world.device('press-8')).formerDevices;
    assert.deepEqual([earlier?.deviceId, earlier?.incarnation], ['press-7', 1]);
    assert.equal((await world.device('press-7')).formerIdentities[0]?.rootSha256, rootSha256);
    assertRefused(await device.tryEnroll(world, undefined), { status: 403, code: 'enrollment-refused' });
  });

  test('an agent with an empty state folder enrolls again without a token', async () => {
    const { world } = tpms;
    const simulator = await tpms.simulators.start('agent');
    const rootOfTrust = { kind: 'tpm' as const, address: `unix:${simulator.socketPath}` };
    await using agent = await TestAgent.prepare(world, 'press-9', { models: [], rootOfTrust });
    await writeFile(join(agent.stateFolder, 'enrollment-token'), await world.enrollmentToken({ tier: 'tpm' }));
    await (await agent.start()).next('enrolled');
    await agent.stop();
    await wipe(world, 'press-9');
    for (const name of ['enrolled.json', 'witness-key.pem', 'boot']) {
      await rm(join(agent.stateFolder, name), { recursive: true, force: true });
    }
    await (await agent.start()).next('enrolled');
    assert.equal((await world.device('press-9')).incarnation, 2);
  });

  test('of two returns at once, one is taken', async () => {
    const { world } = tpms;
    const device = await tpms.device('press-6');
    await wipe(world, 'press-6');
    const again = tpms.keep(await TestDevice.with('press-6', device.rootOfTrust, []));
    again.eventLog = device.eventLog;
    const second = {
      between: async () => void accepted(await again.tryEnroll(world, undefined), certificateResponse),
    };
    const twin = tpms.keep(await TestDevice.with('press-6', device.rootOfTrust, []));
    twin.eventLog = device.eventLog;
    const late = await twin.tryEnroll(world, undefined, second);
    assertRefused(late, { status: 403, code: 'enrollment-refused', reason: 'device-id-taken' });
    assert.equal((await world.device('press-6')).incarnation, 2);
  });
});

suite('a device without a TPM', () => {
  let world: HubWorld;
  before(async () => {
    world = await HubWorld.open();
    await allowSoftware(world);
  });
  after(() => world?.[Symbol.asyncDispose]());

  // SECURITY.md: HUB-18
  test('a clone with the old disk gets nothing, before and after the device is back', async () => {
    const disk = join(world.folder, 'saw-1');
    const copy = join(world.folder, 'saw-1-copy');
    const old = await world.enrollmentToken({ deviceId: 'saw-1' });
    const spare = await world.enrollmentToken({ deviceId: 'saw-1' });
    await using device = await TestDevice.withoutTpm('saw-1', disk);
    accepted(await device.tryEnroll(world, old), certificateResponse);
    await cp(disk, copy, { recursive: true });
    world.clock.advanceSeconds(1);
    await wipe(world, 'saw-1');
    world.clock.advanceSeconds(1);
    await rm(disk, { recursive: true });

    await using clone = await TestDevice.withoutTpm('saw-1', copy);
    const refusedFor = (reason: string) => ({ status: 403, code: 'enrollment-refused', reason });
    assertRefused(await clone.tryEnroll(world, spare), refusedFor('root-of-trust-wiped'));
    const early = await recover(world, clone, await newOperationalKey('saw-1'));
    assertRefused(early, { status: 403, code: 'device-quarantined' });
    await using fresh = await TestDevice.withoutTpm('saw-1', disk);
    assertRefused(await fresh.tryEnroll(world, undefined), { status: 403, code: 'enrollment-refused', says: /token/ });
    assertRefused(await fresh.tryEnroll(world, spare), refusedFor('token-not-fresh'));
    assertRefused(await fresh.tryEnroll(world, await world.enrollmentToken()), refusedFor('token-not-fresh'));
    const own = await world.enrollmentToken({ deviceId: 'saw-1' });
    assertRefused(await clone.tryEnroll(world, own), refusedFor('root-of-trust-wiped'));
    accepted(await fresh.tryEnroll(world, own), certificateResponse);
    const late = await recover(world, clone, await newOperationalKey('saw-1'));
    assertRefused(late, { status: 403, code: 'renewal-refused' });
    await using elsewhere = await TestDevice.withoutTpm('saw-2', copy);
    assertRefused(await elsewhere.tryEnroll(world, await world.enrollmentToken()), refusedFor('root-of-trust-wiped'));
  });

  test('an agent whose state folder was emptied enrolls again as soon as it may', async () => {
    await using agent = await TestAgent.prepare(world, 'saw-3', { models: [] });
    await (await agent.start()).next('attested');
    await agent.stop();
    world.clock.advanceSeconds(1);
    await wipe(world, 'saw-3');
    world.clock.advanceSeconds(1);
    const used = await agent.start();
    assert.match((await used.next('refused')).message, /wiped/);
    await agent.stop();
    for (const name of ['enrolled.json', 'witness-key.pem', 'root-of-trust']) {
      await rm(join(agent.stateFolder, name), { recursive: true });
    }
    const token = await world.enrollmentToken({ deviceId: 'saw-3' });
    await writeFile(join(agent.stateFolder, 'enrollment-token'), token);
    const story = await agent.start();
    await story.next('enrolled');
    await story.next('attested');
    const { state, incarnation } = await world.device('saw-3');
    assert.deepEqual([state, incarnation], ['active', 2]);
  });
});

async function rootOf(device: TestDevice): Promise<string> {
  const identity = await device.identity();
  if (identity.kind !== 'tpm') throw new TypeError('a device with a TPM');
  const key = publicKeyOf(parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey')));
  return createHash('sha256').update(encodeSpki(key)).digest('hex');
}
