// A hub's folder, its signed backup, agents' states and a kit from the commit before a hub could have several nodes (make-fixture.ts, at e1103c90)
// still work.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { skipWithoutSoftHsm } from '@edgekeep/hardware/pkcs11/testing';
import { parseHubSettings } from '@edgekeep/hub/settings';
import { publisherList } from '@edgekeep/wire/api/publisher';
import { quotedPcrs, TestDevice } from '../support/test-device.ts';
import {
  assertGroupToken,
  assertKitEnrolls,
  assertReceiptVerifies,
  assertStillRevoked,
  assertTokens,
  openHub,
} from './as-before.ts';
import {
  assertAgentFollows,
  assertContent,
  assertHandedOverAgain,
  assertPoliciesInForce,
  assertSignedBackupRestores,
  assertSleeperReturns,
} from './handed-over.ts';
import { OldWorld } from './old-world.ts';

const skip = await skipWithoutSoftHsm();
const pcrs = [...quotedPcrs, 10].toSorted((a, b) => a - b);
let old: OldWorld;
before(async () => {
  old = await OldWorld.unpack('before-nodes');
});
after(() => old?.[Symbol.asyncDispose]());

test('a hub has its devices, models, people and log as they were', () =>
  assertContent(old, [
    'inherited 1.0.0 published',
    'narrow 1.0.0 published',
    'opaque 0.9.0 withdrawn',
    'opaque 1.0.0 published',
  ]));

test('its settings, which name no store, are taken as they are', async () => {
  const settings: unknown = JSON.parse(await readFile(old.at('hub', 'hub.json'), 'utf8'));
  assert.ok(typeof settings === 'object' && settings !== null && !('store' in settings));
  assert.equal(parseHubSettings(settings, 'hub.json').logOrigin, 'edgekeep.test/log');
});

test('its policies of witnesses, runtimes and boots, and its key list, are in force', () =>
  assertPoliciesInForce(old, ['backup next']));

test('its log is handed over again, by the root of before', () => assertHandedOverAgain(old));

test('a certificate that was revoked before is revoked, also after another start', () => assertStillRevoked(old));

test('a publisher that has ended publishes nothing more, and what it published goes on', async () => {
  await using world = await openHub(old);
  const { publishers } = await world.operator.get('/v1/publishers', publisherList);
  const ends = publishers.map(({ name, endsAt }) => `${name} ${endsAt === null ? 'goes on' : 'has ended'}`);
  assert.deepEqual(ends.toSorted(), ['former publisher has ended', 'test publisher goes on']);
  await using device = await TestDevice.withoutTpm('new-1', old.at('new-1'));
  device.pcrs = pcrs;
  await device.enroll(world);
  await using link = await device.connect(world.hub);
  await device.release(link, 'inherited', '1.0.0');
});

test('tokens do what they did: one is forbidden by a policy, one lets a device in', async () => {
  await using world = await old.open(old.withTokensAlive);
  await assertTokens(old, world);
  await assertGroupToken(old, world, pcrs);
});

test('an agent with two witness keys comes back with its state, follows the log that was handed over, and gets its key', () =>
  assertAgentFollows(old, { postQuantumWitness: true }));

test('an agent with a secure element that slept over the hand-over comes back and gets its key', { skip }, () =>
  assertSleeperReturns(old),
);

test('a kit enrolls', () => assertKitEnrolls(old));

test('a receipt from before, under the log that has ended, verifies with what the hub says today', () =>
  assertReceiptVerifies(old));

test('a backup that the hub signed restores under its root to a hub that starts', () =>
  assertSignedBackupRestores(old));
