// A hub's folder, its backup, an agent's state and a kit from the commit before "The house in order" (make-fixture.ts, at 8d0f8f5) still
// work: they contain the names of that version.
import assert from 'node:assert/strict';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { enrollmentGroupDetail, enrollmentGroupList } from '@edgekeep/wire/api/enrollment-group';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { groupDetail } from '@edgekeep/wire/api/registry';
import { z } from 'zod';
import { accepted, assertRefused } from '../support/answer.ts';
import { TestDevice } from '../support/test-device.ts';
import { OldWorld } from './old-world.ts';

let old: OldWorld;
before(async () => {
  old = await OldWorld.unpack('before-house');
});
after(() => old?.[Symbol.asyncDispose]());

const openHub = () => old.open((to) => cp(old.at('hub'), to, { recursive: true }));

async function tokens() {
  const file: unknown = JSON.parse(await readFile(old.at('tokens.json'), 'utf8'));
  return z.object({ group: z.string(), enroller: z.string(), forbidden: z.string() }).parse(file);
}

test('a hub runs with settings in former names, and has its devices, groups and filters', async () => {
  await using world = await openHub();
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  const states = devices.map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states.toSorted(), ['press-1 active', 'thin-1 quarantined']);
  const { groups } = await world.operator.get('/v1/enrollment-groups', enrollmentGroupList);
  assert.deepEqual(
    groups.map(({ name, maxDevices }) => [name, maxDevices]),
    [['line-3', 5]],
  );
  const { filter, members } = await world.operator.get('/v1/groups/line', groupDetail);
  assert.deepEqual([filter, members], ['enrolmentGroup==line-3', 0]);
  await world.integrated();
});

test('a token with the scope enrolment:write does what it did, unless the policy forbids it by that name', async () => {
  await using world = await old.open(old.withTokensAlive);
  const { enroller, forbidden } = await tokens();
  const ask = (token: string) => world.askOperator('POST', '/v1/enrollment-tokens', { token, body: '{}' });
  assert.equal((await ask(enroller)).status, 200);
  assertRefused(await ask(forbidden), { status: 403, code: 'access-refused' });
  assert.equal((await world.askOperator('GET', '/v1/devices', { token: forbidden })).status, 200);
});

test('tokens for enrollment that are not used yet let devices in, and a group has the member by its filter', async () => {
  await using world = await old.open(old.withTokensAlive);
  const { group } = await tokens();
  await using device = await TestDevice.withoutTpm('line-3-1', join(world.folder, 'line-3-1'));
  accepted(await device.tryEnroll(world, group), certificateResponse);
  const { tokens: known } = await world.operator.get('/v1/enrollment-groups/line-3', enrollmentGroupDetail);
  assert.deepEqual(
    known.map(({ uses, maxUses }) => [uses, maxUses]),
    [[1, 3]],
  );
  assert.equal((await world.operator.get('/v1/groups/line', groupDetail)).members, 1);
  assert.equal((await world.device('line-3-1')).enrollmentGroup, 'line-3');
});

test('an agent comes back with its state and gets its key', async () => {
  await using world = await openHub();
  await using agent = await old.agentOn(world, 'agent', 'press-1', { models: [{ name: 'opaque', use: 'program' }] });
  const story = await agent.start();
  await story.next('attested');
  await story.next('ready');
});

test('a kit enrolls with its settings and its token file in former names', async () => {
  await using world = await old.open(old.withTokensAlive);
  const kit: object = JSON.parse(await readFile(old.at('kit', 'agent.json'), 'utf8'));
  // The test's own pause would be a second spelling of one setting.
  await using agent = await old.agentOn(world, 'kit', 'press-2', { ...kit, maxReconnectSeconds: undefined });
  const story = await agent.start();
  await story.next('enrolled');
  await story.next('attested');
});

test('a backup restores to a hub that starts', async () => {
  await using world = await old.open((to) => restoreHub(old.at('hub.backup'), to, 'unsigned'));
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  assert.equal(devices.length, 2);
});
