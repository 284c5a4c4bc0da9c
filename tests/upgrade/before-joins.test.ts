// A hub's folder, its backup, an agent's state and a kit from the commit before "The joins" (make-fixture.ts, at f83494fe) still work.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { modelList } from '@edgekeep/wire/api/model-release';
import { personList } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import {
  assertAgentReturns,
  assertGroupToken,
  assertKitEnrolls,
  assertReceiptVerifies,
  assertStillRevoked,
  assertTokens,
  assertUnsignedBackupRestores,
  openHub,
} from './as-before.ts';
import { OldWorld } from './old-world.ts';

let old: OldWorld;
before(async () => {
  old = await OldWorld.unpack('before-joins');
});
after(() => old?.[Symbol.asyncDispose]());

test('a hub has its devices, models, people and log as they were', async () => {
  await using world = await openHub(old);
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  const states = devices.map(({ id, state }) => `${id} ${state}`);
  assert.deepEqual(states.toSorted(), ['press-1 active', 'thin-1 quarantined', 'thin-2 quarantined']);
  const { models } = await world.operator.get('/v1/models', modelList);
  const releases = models.map(({ version, state }) => `${version} ${state}`);
  assert.deepEqual(releases.toSorted(), ['0.9.0 withdrawn', '1.0.0 published']);
  const { people } = await world.operator.get('/v1/people', personList);
  assert.deepEqual(people.map(({ name }) => name).toSorted(), ['admin', 'berta']);
  assert.equal((await world.entries('key-released')).length, 1);
  await world.integrated();
});

test('what the store held is adopted once, by an entry with the digest of its state', async () => {
  await using world = await openHub(old);
  await world.restart();
  const reasons = (await world.entries('security-state')).map(
    ({ data }) => z.looseObject({ reason: z.string() }).parse(data).reason,
  );
  assert.deepEqual(reasons, ['adopted']);
});

test('a certificate that was revoked before is revoked, also after another start', () => assertStillRevoked(old));

test('tokens do what they did: one is forbidden by a policy, one lets a device in', async () => {
  await using world = await old.open(old.withTokensAlive);
  await assertTokens(old, world);
  await assertGroupToken(old, world);
});

test('an agent comes back with its state and gets its key', () => assertAgentReturns(old));

test('a kit enrolls', () => assertKitEnrolls(old));

test('a receipt from before verifies with what the hub says today', () => assertReceiptVerifies(old));

test('a backup restores to a hub that starts', () => assertUnsignedBackupRestores(old, 3));
