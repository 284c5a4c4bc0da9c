// Keys that must stay closed: a stolen wrapped key, a changed boot, another lease, a tier or a version that the policy does not allow.
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { leaseState } from '@edgekeep/core/access/lease';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import { manifestDigest } from '@edgekeep/core/model/manifest';
import { openFile } from '@edgekeep/core/model/sealed-file';
import { modelResponse } from '@edgekeep/wire/api/model-release';
import { policyView } from '@edgekeep/wire/api/policy';
import { closeAll } from '../support/closing.ts';
import { accepted, assertRefused } from '../support/answer.ts';
import { measure, stage } from '../support/boot.ts';
import type { DeviceLink, Released } from '../support/device-link.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
let owner: TestDevice;
let thief: TestDevice;
let software: TestDevice;
let ownerLink: DeviceLink;
let softwareLink: DeviceLink;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open({ leaseSeconds: 60 });
  owner = await fleet.device('owner');
  thief = await fleet.device('thief');
  software = fleet.keep(await TestDevice.withoutTpm('software', `${fleet.world.folder}/software`));
  await software.enroll(fleet.world);
  ownerLink = await owner.connect(fleet.world.hub);
  softwareLink = await software.connect(fleet.world.hub);
});
after(async () => {
  await closeAll(fleet, softwareLink, ownerLink);
});

const released = (): Promise<Released> => owner.release(ownerLink, model.name, model.version);

test('the key that was released opens the model that was published', { skip }, async () => {
  const { wrappedKey, lease } = await released();
  const modelKey = await owner.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id });
  const { manifest, files } = accepted(await ownerLink.ask('GET', `/v1/models/${model.name}`), modelResponse);
  const path = files[0]?.path ?? '';
  const sealed = await ownerLink.ask('GET', `/v1/models/${model.name}/${model.version}/files/${path}`);
  const binding = { path, manifestDigest: manifestDigest(Buffer.from(manifest, 'base64url')) };
  const opened: Uint8Array[] = [];
  for await (const chunk of openFile(Readable.from([sealed.body]), modelKey, binding))
    opened.push(Uint8Array.from(chunk));
  assert.equal(Buffer.concat(opened).toString(), model.content);
});

// SECURITY.md: DEV-26
test('a wrapped key that was stolen opens in no other TPM', { skip }, async () => {
  const { wrappedKey } = await released();
  await assert.rejects(thief.rootOfTrust.openKey(wrappedKey), { code: 'tpm-blob-refused' });
});

test('a wrapped key that was altered opens nowhere', { skip }, async (t) => {
  const { wrappedKey } = await released();
  if (wrappedKey.kind !== 'tpm-import') assert.fail('an import blob was expected');
  for (const member of ['publicArea', 'duplicate', 'encryptedSeed'] as const) {
    await t.test(member, async () => {
      const bytes = Buffer.from(wrappedKey[member], 'base64url');
      bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
      const altered: WrappedKey = { ...wrappedKey, [member]: bytes.toString('base64url') };
      await assert.rejects(owner.rootOfTrust.openKey(altered), { name: 'HardwareError' });
    });
  }
  await t.test('its policy on fewer PCRs', async () => {
    const loose: WrappedKey = { ...wrappedKey, pcrs: wrappedKey.pcrs.slice(1) };
    await assert.rejects(owner.rootOfTrust.openKey(loose), { code: 'tpm-policy-refused' });
  });
});

test('a device without a TPM gets no key under the default policy, and the refusal says why', { skip }, async () => {
  const answer = await software.askForKey(softwareLink, model.name, model.version);
  const says = /its statement attested-tpm would if context\.attestation\.tier == "tpm" \(it is "software"\)/;
  assertRefused(answer, { status: 403, code: 'release-refused', reason: 'policy-permits-not', says });
  const entries = await fleet.world.entries('release-refused');
  assert.equal(entries.at(-1)?.subject, 'device:software');
});

// SECURITY.md: HUB-51
test('a policy that constrains nothing is refused, and leaves the one in force', { skip }, async (t) => {
  const { operator } = fleet.world;
  const before = await operator.get('/v1/policy', policyView);
  const useless: Readonly<Record<string, readonly [string, string]>> = {
    'everything is permitted': ['permit (principal, action, resource);', 'policy-constrains-nothing'],
    'the state of the device is enough': [
      'permit (principal is Edgekeep::Device, action, resource) when { principal.state == "active" };',
      'policy-constrains-nothing',
    ],
    'a condition that always holds': [
      'permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { context.attestation.status == "affirming" || true };',
      'policy-constrains-nothing',
    ],
    'a failed attestation is permitted': [
      'permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { context.attestation.status != "warning" };',
      'policy-constrains-nothing',
    ],
    'nothing is permitted': ['forbid (principal, action, resource);', 'policy-permits-nothing'],
    'a word that does not exist': [
      'permit (principal, action, resource) when { context.attestation.mood == "good" };',
      'policy-invalid',
    ],
    'no policy at all': ['', 'policy-permits-nothing'],
    'no Cedar at all': ['allow everybody', 'policy-syntax'],
    'no Unicode at all': ['\ud800', 'policy-syntax'],
  };
  for (const [name, [text, reason]] of Object.entries(useless)) {
    await t.test(name, async () => {
      const token = await fleet.world.adminToken();
      const answer = await fleet.world.askOperator('PUT', '/v1/policy', { token, body: JSON.stringify({ text }) });
      assertRefused(answer, { status: 422, code: 'policy-refused', reason });
      assert.deepEqual(await operator.get('/v1/policy', policyView), before);
    });
  }
  assertRefused(await software.askForKey(softwareLink, model.name, model.version), {
    status: 403,
    code: 'release-refused',
  });
});

test('a key wrapped for a device without a TPM opens under its own lease and key only', { skip }, async (t) => {
  const { operator } = fleet.world;
  const old = await operator.get('/v1/policy', policyView);
  await operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  const first = await software.release(softwareLink, model.name, model.version);
  const second = await software.release(softwareLink, model.name, model.version);
  await operator.send('PUT', '/v1/policy', { text: old.text }, policyView);
  assert.equal((await software.rootOfTrust.openKey(first.wrappedKey, { leaseId: first.lease.id })).length, 32);
  await t.test('not under another lease', async () => {
    const opened = software.rootOfTrust.openKey(first.wrappedKey, { leaseId: second.lease.id });
    await assert.rejects(opened, { code: 'wrapped-key-refused' });
  });
  await t.test('not on another device', async () => {
    await using other = await TestDevice.withoutTpm('other', `${fleet.world.folder}/other`);
    const opened = other.rootOfTrust.openKey(first.wrappedKey, { leaseId: first.lease.id });
    await assert.rejects(opened, { code: 'wrapped-key-refused' });
  });
  await t.test('and it says its tier', () => {
    assert.match(Buffer.from(first.attestationResult.split('.')[1] ?? '', 'base64url').toString(), /software/);
  });
});

// SECURITY.md: DEV-24
test('an old release gets no key once a newer one is published', { skip }, async () => {
  const { world } = fleet;
  await world.publishModel('crack', '1.0.0', 'old weights');
  await owner.release(ownerLink, 'crack', '1.0.0');
  await world.publishModel('crack', '1.1.0', 'new weights');
  const answer = await owner.askForKey(ownerLink, 'crack', '1.0.0');
  assertRefused(answer, { status: 403, code: 'release-refused', reason: 'release-superseded', says: /1\.1\.0/ });
  await owner.release(ownerLink, 'crack', '1.1.0');
});

test('there is no key for a model or a version that was never published', { skip }, async () => {
  assertRefused(await owner.askForKey(ownerLink, 'nothing', '1.0.0'), { status: 404, code: 'not-found' });
  const answer = await owner.askForKey(ownerLink, model.name, '9.9.9');
  assertRefused(answer, { status: 403, code: 'release-refused', reason: 'release-superseded' });
});

test('a lease that is over is over for the device and for the hub', { skip }, async () => {
  const { world } = fleet;
  const { lease } = await released();
  assert.equal(leaseState(lease, Math.floor(world.clock.now() / 1_000)), 'held');
  world.clock.advanceSeconds(61);
  assert.equal(leaseState(lease, Math.floor(world.clock.now() / 1_000)), 'expired');
  const held = (await world.device('owner')).leases.find(({ id }) => id === lease.id);
  assert.ok(held !== undefined && held.notAfter <= world.clock.now());
});

// SECURITY.md: DEV-26
test('the same TPM does not open the key after its PCRs changed', { skip }, async () => {
  const { wrappedKey } = await released();
  await owner.rootOfTrust.openKey(wrappedKey);
  await measure(owner.rootOfTrust, [stage(8, eventTypes.ipl, 'debugger', 'debugger')]);
  await assert.rejects(owner.rootOfTrust.openKey(wrappedKey), { code: 'tpm-policy-refused' });
});
