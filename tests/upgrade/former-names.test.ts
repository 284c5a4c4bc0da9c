// Programs of the previous version: addresses, messages, scopes and filters by their former names work, and every answer says so.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { formerTokenFile } from '@edgekeep/agent/former-settings';
import { requestDigest } from '@edgekeep/core/access/request-digest';
import { utf8 } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { approveResponse } from '@edgekeep/wire/api/approval';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { errorResponse } from '@edgekeep/wire/api/error-response';
import { enrollmentGroupDetail, enrollmentGroupView, groupTokenResponse } from '@edgekeep/wire/api/enrollment-group';
import { importReport } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { HubWorld } from '../support/hub-world.ts';
import { accepted, assertRefused } from '../support/answer.ts';
import { addPerson, firstPerson } from '../support/people.ts';
import { allowSoftware, TestAgent } from '../support/test-agent.ts';
import { TestDevice } from '../support/test-device.ts';
import { changeStore } from '../support/edited-store.ts';

const anything = z.looseObject({});
const header = 'edgekeep-former-names';

/** A request with the token of the first operator, and the names in the answer's headers. */
async function ask(world: HubWorld, method: string, path: string, body?: unknown) {
  const token = await world.adminToken();
  const sent = body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) };
  const contentType = typeof body === 'string' ? 'application/x-ndjson' : 'application/json';
  const answer = await world.askOperator(method, path, { token, contentType, ...sent });
  const { status, headers } = answer;
  const { deprecation } = headers;
  const value = parseJson(answer.body, z.looseObject({}), 'answer');
  return { status, deprecation, names: headers[header], value };
}

const deprecation = '@1795996800';

test('enrollment groups and tokens work under their former addresses, with messages in their former names', async () => {
  await using world = await HubWorld.open();
  const groups = '/v1/enrolment-groups';
  const names = '/v1/enrolment-groups=/v1/enrollment-groups';
  const made = await ask(world, 'POST', groups, { name: 'line-3', kind: 'token', devicesMost: 5 });
  assert.deepEqual([made.status, made.deprecation, made.names], [200, deprecation, names]);
  assert.equal(made.value['devicesMost'], 5);
  assert.equal('maxDevices' in made.value, false);
  const limited = await ask(world, 'PUT', `${groups}/line-3/limit`, { devicesMost: null });
  assert.equal(limited.value['devicesMost'], null);
  const token = await ask(world, 'POST', `${groups}/line-3/tokens`, { usesMost: 3 });
  assert.equal(token.value['usesMost'], 3);
  const listed = await ask(world, 'GET', `${groups}?limit=10`);
  assert.match(JSON.stringify(listed.value), /"devicesMost":null/);
  const shown = await ask(world, 'GET', `${groups}/line-3`);
  assert.match(JSON.stringify(shown.value), /"usesMost":3/);
  const once = await ask(world, 'POST', '/v1/enrolment-tokens', {});
  assert.equal(once.names, '/v1/enrolment-tokens=/v1/enrollment-tokens');
  assert.equal(typeof once.value['token'], 'string');
  const present = await ask(world, 'GET', '/v1/enrollment-groups/line-3');
  assert.deepEqual([present.deprecation, present.names, present.value['maxDevices']], [undefined, undefined, null]);
  const metrics = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  assert.match(metrics, /edgekeep_former_names_total\{listener="operator",name="\/v1\/enrolment-groups"\} 5/);
});

test('a former address takes no member twice, no present member under a former name of another, and no new path', async () => {
  await using world = await HubWorld.open();
  const both = { name: 'line-3', kind: 'token', devicesMost: 5, maxDevices: 5 };
  assert.equal((await ask(world, 'POST', '/v1/enrolment-groups', both)).status, 400);
  const former = { name: 'line-3', kind: 'token', devicesMost: 5 };
  assert.equal((await ask(world, 'POST', '/v1/enrollment-groups', former)).status, 400);
  for (const path of ['/v1/enrolments', '/v1/enrolment-groupss', '/v2/enrolment-groups'])
    assert.equal((await ask(world, 'GET', path)).status, 404, path);
});

test('a former address asks for the scope of the route it leads to', async () => {
  await using world = await HubWorld.open();
  const body = JSON.stringify({ name: 'line-3', kind: 'token' });
  assert.equal((await world.askOperator('POST', '/v1/enrolment-groups', { body })).status, 401);
  const token = await world.apiToken(['enrollment:write']);
  const refused = await world.askOperator('POST', '/v1/enrolment-groups', { token, body });
  assert.equal(refused.status, 403);
  assert.equal(parseJson(refused.body, errorResponse, 'refusal').error.code, 'scope-missing');
});

test('an agent of the version before enrolls under its addresses, and hears codes that it knows', async () => {
  await using world = await HubWorld.open();
  const address = '/v1/enrol';
  await using device = await TestDevice.withoutTpm('thin-1', join(world.folder, 'thin'));
  const refused = await device.tryEnroll(world, 'et_none', { address });
  assertRefused(refused, { status: 403, code: 'enrolment-refused' });
  assertRefused(await device.tryEnroll(world, 'et_none'), { status: 403, code: 'enrollment-refused' });
  const token = await world.enrollmentToken({ deviceId: 'thin-1' });
  accepted(await device.tryEnroll(world, token, { address }), certificateResponse);
  assert.equal((await world.device('thin-1')).state, 'active');
});

test('a reason for no enrollment has its former code under the former address', async () => {
  await using world = await HubWorld.open();
  const group = { name: 'line-3', kind: 'token', terms: { tier: 'software' } };
  await world.operator.send('POST', '/v1/enrollment-groups', group, enrollmentGroupView);
  const uses = { maxUses: 3 };
  const { token } = await world.operator.send('POST', '/v1/enrollment-groups/line-3/tokens', uses, groupTokenResponse);
  await world.operator.send('POST', '/v1/enrollment-groups/line-3/disable', { reason: 'a test' }, anything);
  await using device = await TestDevice.withoutTpm('thin-1', join(world.folder, 'thin'));
  const former = await device.tryEnroll(world, token, { address: '/v1/enrol' });
  assertRefused(former, { status: 403, code: 'enrolment-refused', reason: 'enrolment-group-disabled' });
  const present = await device.tryEnroll(world, token);
  assertRefused(present, { status: 403, code: 'enrollment-refused', reason: 'enrollment-group-disabled' });
});

test('the scope enrolment:write can be asked for, and is shown by its present name', async () => {
  await using world = await HubWorld.open();
  const order = { name: 'ci', scopes: ['enrolment:write'], service: true, lifeSeconds: 3_600 };
  const made = await ask(world, 'POST', '/v1/tokens', order);
  assert.deepEqual([made.status, made.names], [200, 'enrolment:write=enrollment:write']);
  const tokens = await ask(world, 'GET', '/v1/tokens');
  assert.doesNotMatch(JSON.stringify(tokens.value), /enrolment/);
  assert.match(JSON.stringify(tokens.value), /"scopes":\["enrollment:write"\]/);
  const token = z.string().parse(made.value['token']);
  const once = await world.askOperator('POST', '/v1/enrollment-tokens', { token, body: '{}' });
  assert.equal(once.status, 200);
});

test('a filter and the lines of an import may have the member enrolmentGroup, and a device is shown with both', async () => {
  await using world = await HubWorld.open();
  const names = 'enrolmentGroup=enrollmentGroup';
  const group = { name: 'lot-17', kind: 'manifest' };
  await world.operator.send('POST', '/v1/enrollment-groups', group, enrollmentGroupView);
  const line = (of: object) => `${JSON.stringify({ rootSha256: 'a'.repeat(64), ...of })}\n`;
  const imported = await ask(world, 'POST', '/v1/devices/import', line({ enrolmentGroup: 'lot-17' }));
  assert.deepEqual([imported.status, imported.names], [200, names]);
  assert.deepEqual(importReport.parse(imported.value).problems, []);
  const both = line({ enrolmentGroup: 'lot-17', enrollmentGroup: 'lot-17' });
  const twice = importReport.parse((await ask(world, 'POST', '/v1/devices/import', both)).value);
  assert.equal(twice.rejected, 1);
  const listed = await ask(world, 'GET', '/v1/devices?filter=enrolmentGroup==lot-17');
  assert.deepEqual([listed.status, listed.names], [200, names]);
  assert.equal((await ask(world, 'GET', '/v1/devices?filter=enrollmentGroup==lot-17')).names, undefined);
});

test('the devices that a root waits for are listed under the former address too', async () => {
  await using world = await HubWorld.open();
  const former = await ask(world, 'GET', '/v1/authorities/missing?limit=10');
  assert.deepEqual([former.status, former.names], [200, '/v1/authorities/missing=/v1/authorities/pending']);
  const present = await ask(world, 'GET', '/v1/authorities/pending?limit=10');
  assert.deepEqual([present.names, present.value], [undefined, former.value]);
});

test('answers about devices and roots have a renamed member under both names', async () => {
  await using world = await HubWorld.open();
  await using device = await TestDevice.withoutTpm('thin-1', join(world.folder, 'thin'));
  const token = await world.enrollmentToken({ deviceId: 'thin-1' });
  accepted(await device.tryEnroll(world, token), certificateResponse);
  const numbered = z.object({ incarnation: z.literal(1), generation: z.literal(1) });
  const detail = z.object({
    ...numbered.shape,
    certificates: z.array(numbered).min(1),
    presence: z.object({ sessions: z.array(anything), places: z.array(anything) }),
  });
  const { presence } = detail.parse((await ask(world, 'GET', '/v1/devices/thin-1')).value);
  assert.deepEqual(presence.places, presence.sessions);
  const root = z.object({
    version: z.literal(1),
    generation: z.literal(1),
    devicesPending: z.null(),
    devicesMissing: z.null(),
  });
  z.object({ roots: z.array(root).length(1) }).parse((await ask(world, 'GET', '/v1/authorities')).value);
});

test('what a hub of the version before kept for a second person is carried out at the present route', async () => {
  await using world = await HubWorld.open();
  const ada = await firstPerson(world);
  const ben = await addPerson(world, 'ben');
  const asked = await ada.waits('POST', '/v1/enrolment-groups', { name: 'lot-17', kind: 'manifest', devicesMost: 5 });
  assert.equal((await ada.approval(asked.id)).path, '/v1/enrollment-groups');
  const kept = {
    method: 'POST',
    path: '/v1/enrolment-groups',
    body: '{"devicesMost":5,"kind":"manifest","name":"lot-17"}',
  };
  const digest = requestDigest({ ...kept, body: utf8(kept.body) });
  const former = "update approval set path = ?, body = ?, digest = ?, operation = 'open-enrolment-group' where id = ?";
  await changeStore(world.place, former, kept.path, kept.body, digest, asked.id);
  const { state } = accepted(await ben.approve({ id: asked.id, digest }), approveResponse);
  assert.equal(state, 'executed');
  const made = await world.operator.get('/v1/enrollment-groups/lot-17', enrollmentGroupDetail);
  assert.equal(made.maxDevices, 5);
  assert.equal(
    (await ada.ask('PUT', '/v1/enrolment-groups/lot-17/limit', { devicesMost: 6 })).status,
    202,
    'two people here too',
  );
});

test('a kit of the version before has its token under the former name of the file', async () => {
  await using world = await HubWorld.open();
  await allowSoftware(world);
  await using agent = await TestAgent.prepare(world, 'press-1');
  await rename(join(agent.stateFolder, 'enrollment-token'), join(agent.stateFolder, formerTokenFile));
  const warned = once(process, 'warning');
  const story = await agent.start();
  await story.next('enrolled');
  const [warning] = await warned;
  assert.equal(warning.code, 'EDGEKEEP_FORMER_NAME');
  assert.deepEqual(
    (await readdir(agent.stateFolder)).filter((name) => name.includes('token')),
    [],
  );
});
