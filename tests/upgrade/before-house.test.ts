// A hub's folder, its backup, an agent's state and a kit from the commit before "The house in order" (make-fixture.ts, at 8d0f8f5) still
// work: they contain the names of that version.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { enrollmentGroupDetail, enrollmentGroupList } from '@edgekeep/wire/api/enrollment-group';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { groupDetail } from '@edgekeep/wire/api/registry';
import {
  assertAgentReturns,
  assertGroupToken,
  assertKitEnrolls,
  assertTokens,
  assertUnsignedBackupRestores,
  openHub,
  tokensOf,
} from './as-before.ts';
import { OldWorld } from './old-world.ts';

let old: OldWorld;
before(async () => {
  old = await OldWorld.unpack('before-house');
});
after(() => old?.[Symbol.asyncDispose]());

test('a hub runs with settings in former names, and has its devices, groups and filters', async () => {
  await using world = await openHub(old);
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
  await assertTokens(old, world);
  const { forbidden } = await tokensOf(old);
  assert.equal((await world.askOperator('GET', '/v1/devices', { token: forbidden })).status, 200);
});

test('tokens for enrollment that are not used yet let devices in, and a group has the member by its filter', async () => {
  await using world = await old.open(old.withTokensAlive);
  await assertGroupToken(old, world);
  const { tokens: known } = await world.operator.get('/v1/enrollment-groups/line-3', enrollmentGroupDetail);
  assert.deepEqual(
    known.map(({ uses, maxUses }) => [uses, maxUses]),
    [[1, 3]],
  );
  assert.equal((await world.operator.get('/v1/groups/line', groupDetail)).members, 1);
  assert.equal((await world.device('line-3-1')).enrollmentGroup, 'line-3');
});

test('an agent comes back with its state and gets its key', () => assertAgentReturns(old));

// The test's own pause would be a second spelling of one setting.
test('a kit enrolls with its settings and its token file in former names', () =>
  assertKitEnrolls(old, { maxReconnectSeconds: undefined }));

test('a backup restores to a hub that starts', () => assertUnsignedBackupRestores(old, 2));
