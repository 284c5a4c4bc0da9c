// Someone says in a device's name that it lost its state: to get another witness key registered, or to have it begin again. A real hub.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { after, before, test } from 'node:test';
import { encodeVerifierKey, verifierKey } from '@edgekeep/core/audit/note';
import { stateRecoveryResponse } from '@edgekeep/wire/api/state-recovery';
import { accepted, assertRefused } from '../support/answer.ts';
import { closeAll } from '../support/closing.ts';
import type { DeviceLink } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { askForState, stateRecoveryProof } from '../support/state-recovery.ts';
import { TestDevice } from '../support/test-device.ts';
import { TestWitness } from '../support/witness.ts';
import { policyView } from '@edgekeep/wire/api/policy';

let world: HubWorld;
const devices = new Map<string, { readonly device: TestDevice; readonly link: DeviceLink }>();

before(async () => {
  world = await HubWorld.open({ policyText: policyForAnyTier });
  await world.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  for (const id of ['owner', 'other']) {
    const device = await TestDevice.withoutTpm(id, `${world.folder}/${id}`);
    await device.enroll(world);
    devices.set(id, { device, link: await device.connect(world.hub) });
  }
});
after(() => closeAll(...[...devices.values()].map(({ link }) => link), world));

function deviceOf(id: string) {
  const found = devices.get(id);
  if (found === undefined) throw new TypeError(id);
  return found;
}

const newKey = (name: string) =>
  encodeVerifierKey(verifierKey(name, generateKeyPairSync('ed25519').publicKey, 'cosignature-v1'));
const now = () => Math.floor(world.clock.now() / 1_000);
const recorded = async () => (await world.entries('device-state-lost')).length;

// SECURITY.md: DEV-98
test('a witness key that the root of trust did not sign for, or of another device, connection or hub, is not registered', async () => {
  const { device, link } = deviceOf('owner');
  const other = deviceOf('other');
  const before = await recorded();
  const mismatch = { status: 403, code: 'renewal-refused', reason: 'qualifying-data-mismatch' };
  const witnessKey = newKey('edgekeep.test/device/owner');
  for (const subject of [
    { witnessKey: device.witnessKey },
    { hub: 'other.example/log' },
    { deviceId: 'other' },
    { lost: [] },
    { exporter: new Uint8Array(32) },
    { keys: { kind: 'software' } },
  ])
    assertRefused(await askForState(device, link, { witnessKey, subject }), mismatch);
  assertRefused(await askForState(other.device, link, { witnessKey }), {
    status: 403,
    code: 'renewal-refused',
    reason: 'signature-invalid',
  });
  const taken = { status: 403, code: 'enrollment-refused', reason: 'witness-key-taken' };
  assertRefused(await askForState(device, link, { witnessKey: other.device.witnessKey }), taken);
  assertRefused(await askForState(device, link, { witnessKey: world.hub.logKey.name }), {
    status: 400,
    code: 'request-invalid',
  });
  assert.equal(await recorded(), before);
});

// SECURITY.md: DEV-98
test('evidence for a state is used once, and a key that a device lost is never taken again', async () => {
  const { device, link } = deviceOf('other');
  const witnessKey = newKey('edgekeep.test/device/other');
  accepted(await askForState(device, link, { witnessKey }), stateRecoveryResponse);
  assertRefused(await askForState(device, link, { witnessKey: device.witnessKey }), {
    status: 403,
    code: 'enrollment-refused',
    reason: 'witness-key-taken',
  });
  const nonce = await link.challenge();
  const proof = await stateRecoveryProof(device, { nonce, exporter: link.exporter }, { witnessKey });
  accepted(await link.ask('POST', '/v1/state-recovery', proof), stateRecoveryResponse);
  assertRefused(await link.ask('POST', '/v1/state-recovery', proof), { status: 409, code: 'challenge-missing' });
});

// SECURITY.md: DEV-101
test('a device replaces its witness key a limited number of times', async () => {
  const { device, link } = deviceOf('other');
  const ask = () => askForState(device, link, { witnessKey: newKey('edgekeep.test/device/other') });
  let answer = await ask();
  let replaced = 0;
  for (; answer.status === 200 && replaced < 40; replaced += 1) answer = await ask();
  // One was replaced above.
  assert.equal(replaced, 15);
  assertRefused(answer, { status: 403, code: 'renewal-refused', reason: 'witness-keys-used-up' });
});

// SECURITY.md: HUB-105
test('a device that says again and again that it lost its state is not answered each time', async () => {
  const device = await TestDevice.withoutTpm('often', `${world.folder}/often`);
  await device.enroll(world);
  await using link = await device.connect(world.hub);
  let answer = await askForState(device, link);
  let answered = 0;
  for (; answer.status === 200 && answered < 60; answered += 1) answer = await askForState(device, link);
  assertRefused(answer, { status: 429, code: 'rate-limited', says: /says too often that it lost its state/ });
  const { device: other, link: otherLink } = deviceOf('owner');
  accepted(await askForState(other, otherLink), stateRecoveryResponse);
});

// SECURITY.md: DEV-97
test('the hub remembers what a device cosigned, with its signature, and its old key cosigns nothing once it is replaced', async () => {
  const device = await TestDevice.withoutTpm('keeper', `${world.folder}/keeper`);
  await device.enroll(world);
  await using link = await device.connect(world.hub);
  const witness = new TestWitness(world.hub.logKey, device.witness);
  await witness.checkIn(link, now());
  await link.ask('POST', '/v1/reports', { attributes: { rate: 1 } });
  const { checkpoint } = accepted(await askForState(device, link), stateRecoveryResponse);
  assert.ok(checkpoint?.includes(`— ${device.witness.name} `));
  const witnessKey = newKey(device.witness.name);
  accepted(await askForState(device, link, { witnessKey }), stateRecoveryResponse);
  await witness.follow(link);
  const late = Buffer.from(await witness.cosigned(now())).toString('utf8');
  const answer = await link.ask('POST', '/v1/cosignatures', { checkpoint: late });
  assert.equal(answer.status, 422);
});
