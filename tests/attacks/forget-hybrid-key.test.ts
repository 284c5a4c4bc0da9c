// A device that had hybrid wraps and runs an older agent again: who may let it have a lesser wrap, and whom that does not help.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findProgram } from '@edgekeep/cli/program';
import { after, before, test } from 'node:test';
import { boundWrapType, hybridWrapType } from '@edgekeep/core/access/wrap-context';
import { sha256Hex } from '@edgekeep/core/digest';
import { xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import { hybridKeyForgotten } from '@edgekeep/wire/api/hybrid-key';
import { policyView, simulation } from '@edgekeep/wire/api/policy';
import { groupView, historyView } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { alertsOf } from '../support/alerts.ts';
import { assertRefused } from '../support/answer.ts';
import { newSeed, openHybrid, registerHybridKey, releaseHybrid } from '../support/hybrid-device.ts';
import { HubWorld } from '../support/hub-world.ts';
import { addPerson, firstPerson } from '../support/people.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';

const model = { name: 'belt', version: '1.0.0' };
const reason = { reason: 'back to the last good system' };
const path = (id: string) => `/v1/devices/${id}/forget-hybrid-key`;
let world: HubWorld;
const devices = new Map<string, TestDevice>();

before(async () => {
  world = await HubWorld.open({ settings: { access: { requirePostQuantum: ['strict'] } } });
  await world.publishModel(model.name, model.version, 'weights');
  await world.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  await world.operator.send('POST', '/v1/groups', { name: 'strict' }, groupView);
});
after(async () => {
  for (const device of devices.values()) await device[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

/** A device that has had a key in a hybrid wrap. */
async function hybridDevice(id: string) {
  const device = await TestDevice.withoutTpm(id, join(world.folder, id));
  devices.set(id, device);
  await device.enroll(world);
  const link = await device.connect(world.hub);
  const seed = newSeed();
  await registerHybridKey(device, link, seed);
  await releaseHybrid(device, link, model);
  return { device, link, seed };
}

const forget = (id: string) => world.operator.send('POST', path(id), reason, hybridKeyForgotten);
const metric = async (line: RegExp) =>
  line.exec(Buffer.from(await world.operator.getBytes('/metrics')).toString())?.[1] ?? 'none';

// SECURITY.md: NET-14
test('a hybrid key is forgotten on an operator’s order alone, which cuts the device off, is logged, and ends when the agent names a key again', async () => {
  const { device, link, seed } = await hybridDevice('rolled-back');
  const sha256 = sha256Hex(xwingPublicKey(seed));
  const required = { status: 403, code: 'release-refused', reason: 'hybrid-wrap-required' };
  assertRefused(await device.askForBoundKey(link, model.name, model.version), required);
  // The device has no route for it, and a token without the scope gets nowhere.
  assert.equal((await link.ask('POST', path('rolled-back'), reason)).status, 404);
  const token = await world.apiToken(['devices:read', 'enrollment:write']);
  const body = JSON.stringify(reason);
  assertRefused(await world.askOperator('POST', path('rolled-back'), { token, body }), {
    status: 403,
    code: 'scope-missing',
  });
  const shown = await world.device('rolled-back');
  assert.deepEqual([shown.hybridKey?.suite, shown.hybridKey?.sha256], ['MLKEM768-X25519', sha256]);
  assert.deepEqual(
    shown.leases.map(({ wrap }) => wrap),
    [hybridWrapType],
  );

  const forgotten = await forget('rolled-back');
  assert.deepEqual(forgotten, { deviceId: 'rolled-back', sha256, connectionsClosed: 1, requiredBy: [] });
  assert.equal((await world.device('rolled-back')).hybridKey, null);
  await assert.rejects(device.askForBoundKey(link, model.name, model.version));
  assert.equal((await alertsOf(world, 'rolled-back', 'key-wrap-downgraded'))[0]?.state, 'closed');
  const [entry] = await world.entries('hybrid-key-forgotten');
  assert.deepEqual(entry?.data, { suite: 'MLKEM768-X25519', sha256, ...reason });
  assert.match(entry?.actor ?? '', /^person:admin\//);
  const { changes } = await world.operator.get('/v1/devices/rolled-back/history', historyView);
  assert.equal(changes[0]?.reason, reason.reason);
  await assert.rejects(forget('rolled-back'), /has no hybrid key here/);

  const older = await device.connect(world.hub);
  const bound = await device.releaseBound(older, model.name, model.version);
  assert.equal(bound.wrappedKey.type, boundWrapType);
  // The agent of this version names its key again, and the way back is closed again.
  await registerHybridKey(device, older, seed);
  assert.equal((await openHybrid(device, await releaseHybrid(device, older, model), seed)).length, 32);
  assertRefused(await device.askForBoundKey(older, model.name, model.version), required);
  assert.equal(await metric(/edgekeep_released_keys_total\{wrap="edgekeep-wrapped-key\/v3"\} (\d+)/), '2');
  assert.equal(await metric(/edgekeep_released_keys_total\{wrap="edgekeep-wrapped-key\/v2"\} (\d+)/), '1');
  assert.equal(await metric(/edgekeep_devices_by_agreement_key\{tier="software",kind="MLKEM768-X25519"\} (\d+)/), '1');
  await older[Symbol.asyncDispose]();
});

// SECURITY.md: NET-14
test('in a group that requires post-quantum protection a device whose key was forgotten gets no key, and order, answer and simulation say so', async () => {
  const { device } = await hybridDevice('strict-1');
  await hybridDevice('strict-2');
  await world.operator.send('POST', '/v1/groups/strict/members', { add: ['strict-1', 'strict-2'] }, z.unknown());
  assert.deepEqual((await forget('strict-1')).requiredBy, ['strict']);
  const link = await device.connect(world.hub);
  const asked = await device.askForBoundKey(link, model.name, model.version);
  assertRefused(asked, { status: 403, code: 'post-quantum-required', reason: 'post-quantum-required' });
  assert.match(Buffer.from(asked.body).toString(), /group strict requires hybrid wraps.*an operator had it forgotten/);
  assert.equal((await alertsOf(world, 'strict-1', 'post-quantum-refused')).length, 1);

  const simulate = (groups: object) =>
    world.operator.send('POST', '/v1/policy/simulate', { groups, last: 0 }, simulation);
  const now = await simulate({});
  const counted = { group: 'strict', exists: true, classicalConnection: 0 };
  assert.deepEqual(now.postQuantum, [{ ...counted, devices: 2, withoutHybridKey: 1, names: ['strict-1'] }]);
  assert.deepEqual(now.fleet.changes, []);
  const without = await simulate({ strict: { remove: ['strict-1'] } });
  assert.deepEqual(without.postQuantum, [{ ...counted, devices: 1, withoutHybridKey: 0, names: [] }]);
  const keyChanges = ({ fleet }: z.infer<typeof simulation>) =>
    fleet.changes.filter(({ action }) => action === 'releaseKey');
  assert.deepEqual(
    keyChanges(without).map(({ change, names }) => [change, names]),
    [['gains', ['device:strict-1']]],
  );
  await forget('rolled-back');
  const joined = await simulate({ strict: { add: ['rolled-back'] } });
  assert.deepEqual(
    keyChanges(joined).map(({ change, by, names }) => [change, by, names]),
    [['loses', ['post-quantum-required'], ['device:rolled-back']]],
  );
  await link[Symbol.asyncDispose]();
});

test('the command line says of a device whether it has a hybrid key, what forgetting does to it, and what the rule refuses', async () => {
  await hybridDevice('shown');
  await world.operator.send('POST', '/v1/groups/strict/members', { add: ['shown'] }, z.unknown());
  const run = async (...words: readonly string[]) => {
    const args = [findProgram('@edgekeep/cli/main').file, ...words, '--operator', world.operatorFile];
    return (await promisify(execFile)(process.execPath, args)).stdout;
  };
  assert.match(await run('device', 'show', 'shown'), /^hybrid key +MLKEM768-X25519 since .*[0-9a-f]{64}$/m);
  assert.match(await run('device', 'show', 'shown'), /^lease .*, hybrid {2}/m);
  assert.match(
    await run('policy', 'simulate', '--add', 'strict=shown'),
    /^post-quantum rule: group strict, .*: strict-1$/m,
  );
  const said = await run('device', 'forget-hybrid-key', 'shown', '--reason', 'an older agent');
  assert.match(said, /^shown has no hybrid key any more \([0-9a-f]{64}\); 1 live connection closed$/m);
  assert.match(said, /group strict requires post-quantum protection: shown gets no key until/);
  assert.match(await run('device', 'show', 'shown'), /^hybrid key +none/m);
  assert.match(await run('device', 'history', 'shown'), /hybrid-key.*no-hybrid-key.*an older agent/);
});

// SECURITY.md: NET-14
test('one person alone has no hybrid key forgotten once there are two', async () => {
  await hybridDevice('for-two');
  const ada = await firstPerson(world);
  const ben = await addPerson(world, 'ben');
  const asked = await ada.waits('POST', path('for-two'), reason);
  assert.notEqual((await world.device('for-two')).hybridKey, null);
  assert.equal((await ben.approve(asked)).status, 200);
  assert.equal((await world.device('for-two')).hybridKey, null);
});
