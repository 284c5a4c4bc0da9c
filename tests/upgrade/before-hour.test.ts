// A hub's folder, its signed backup, agents' states and a kit from the commit before "The first hour" (make-fixture.ts, at ed7aa418) still work.
import { after, before, test } from 'node:test';
import { skipWithoutSoftHsm } from '@edgekeep/hardware/pkcs11/testing';
import { quotedPcrs } from '../support/test-device.ts';
import {
  assertGroupToken,
  assertKitEnrolls,
  assertReceiptVerifies,
  assertStillRevoked,
  assertTokens,
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
let old: OldWorld;
before(async () => {
  old = await OldWorld.unpack('before-hour');
});
after(() => old?.[Symbol.asyncDispose]());

test('a hub has its devices, models, people and log as they were', () =>
  assertContent(old, ['narrow 1.0.0 published', 'opaque 0.9.0 withdrawn', 'opaque 1.0.0 published']));

test('its policies of witnesses, runtimes and boots, and its key list, are in force', () => assertPoliciesInForce(old));

test('its log is handed over again, by the root of before', () => assertHandedOverAgain(old));

test('a certificate that was revoked before is revoked, also after another start', () => assertStillRevoked(old));

test('tokens do what they did: one is forbidden by a policy, one lets a device in', async () => {
  await using world = await old.open(old.withTokensAlive);
  await assertTokens(old, world);
  await assertGroupToken(
    old,
    world,
    [...quotedPcrs, 10].toSorted((a, b) => a - b),
  );
});

test('an agent comes back with its state, follows the log that was handed over, and gets its key', () =>
  assertAgentFollows(old));

test('an agent with a secure element that slept over the hand-over comes back and gets its key', { skip }, () =>
  assertSleeperReturns(old),
);

test('a kit enrolls', () => assertKitEnrolls(old));

test('a receipt from before, under the log that has ended, verifies with what the hub says today', () =>
  assertReceiptVerifies(old));

test('a backup that the hub signed restores under its root to a hub that starts', () =>
  assertSignedBackupRestores(old));
