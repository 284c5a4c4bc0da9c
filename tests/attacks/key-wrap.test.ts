// A wrapped key of one use is handed to the device as that of another, or the two sides are brought back to the form before, in which the key
// for a TPM was for no use in particular. TPM simulators, a software root of trust, a real hub.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { keyReleaseSchema } from '@edgekeep/core/access/key-release';
import { boundToAsk, offersBoundWraps } from '@edgekeep/core/access/release-ask';
import { boundWrapType, type WrapContext } from '@edgekeep/core/access/wrap-context';
import { policyView } from '@edgekeep/wire/api/policy';
import { releaseResponse } from '@edgekeep/wire/api/access';
import { alertsOf } from '../support/alerts.ts';
import { accepted, assertRefused } from '../support/answer.ts';
import { closeAll } from '../support/closing.ts';
import type { DeviceLink, Released } from '../support/device-link.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
const devices: { readonly device: TestDevice; readonly link: DeviceLink }[] = [];

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  const { world } = fleet;
  await world.publishModel('crack', '1.0.0', 'weights of the crack model');
  const software = fleet.keep(await TestDevice.withoutTpm('software', `${world.folder}/software`));
  await software.enroll(world);
  await world.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  for (const device of [await fleet.device('owner'), software]) {
    devices.push({ device, link: await device.connect(world.hub) });
  }
});
after(async () => {
  await closeAll(fleet, ...devices.map(({ link }) => link));
});

const contextOf = ({ lease }: Released): WrapContext => ({ purpose: 'model key', lease });
const refused = { code: 'wrapped-key-refused' };

// SECURITY.md: DEV-61
test('a wrapped key opens for its own lease, model and version only', { skip }, async (t) => {
  for (const { device, link } of devices) {
    await t.test(device.id, async () => {
      const { rootOfTrust } = device;
      const first = await device.releaseBound(link, model.name, model.version);
      const renewed = await device.releaseBound(link, model.name, model.version);
      const other = await device.releaseBound(link, 'crack', '1.0.0');
      assert.equal(first.wrappedKey.type, boundWrapType);
      const right = { context: contextOf(first), leaseId: first.lease.id };
      assert.equal((await rootOfTrust.openKey(first.wrappedKey, right)).length, 32);
      const { lease } = first;
      const wrong: readonly (readonly [string, WrapContext])[] = [
        ['the next lease of the same model', contextOf(renewed)],
        ['another model', contextOf(other)],
        ['another version', { purpose: 'model key', lease: { ...lease, version: '1.0.1' } }],
        ['another manifest', { purpose: 'model key', lease: { ...lease, manifestDigest: '00'.repeat(32) } }],
        ['a longer lease', { purpose: 'model key', lease: { ...lease, notAfter: lease.notAfter + 1 } }],
        ['another device', { purpose: 'model key', lease: { ...lease, deviceId: 'thief' } }],
        ['a release policy', { purpose: 'model key', lease, releasePolicy: '00'.repeat(32) }],
        ['the unlocking of a hub', { purpose: 'hub unlock' }],
      ];
      for (const [what, context] of wrong) {
        await assert.rejects(rootOfTrust.openKey(first.wrappedKey, { context, leaseId: lease.id }), refused, what);
      }
      await assert.rejects(rootOfTrust.openKey(first.wrappedKey, { leaseId: lease.id }), {
        code: 'wrapped-key-unsupported',
      });
    });
  }
});

// SECURITY.md: DEV-62
test(
  'what the agent reads cannot be taken out of its request, nor what the hub offers out of its challenge',
  { skip },
  async () => {
    for (const { device, link } of devices) {
      const without = await device.askForBoundKey(link, model.name, model.version, { wraps: undefined });
      assertRefused(without, { status: 403, code: 'attestation-refused', reason: 'qualifying-data-mismatch' });
      const weaker = await device.askForBoundKey(link, model.name, model.version, { wraps: ['former', boundWrapType] });
      assertRefused(weaker, { status: 403, code: 'attestation-refused', reason: 'qualifying-data-mismatch' });
      const other = await device.askForBoundKey(link, 'crack', '1.0.0', { model: model.name });
      assertRefused(other, { status: 403, code: 'attestation-refused', reason: 'qualifying-data-mismatch' });
      // The mark is a part of the nonce: a challenge without it is not this hub's.
      const nonce = await link.challenge();
      assert.ok(offersBoundWraps(nonce));
      const stripped = Uint8Array.from(nonce).fill(0, 24);
      assert.ok(!offersBoundWraps(stripped));
      const answer = await link.ask('POST', '/v1/releases', {
        model: model.name,
        version: model.version,
        ...(await device.releaseProof(stripped, link.exporter)),
      });
      assertRefused(answer, { status: 403, code: 'attestation-refused', reason: 'qualifying-data-mismatch' });
    }
  },
);

test('an agent that reads none of the forms that the hub makes is refused', { skip }, async () => {
  for (const { device, link } of devices) {
    const ask = { model: model.name, version: model.version, wraps: ['edgekeep-wrapped-key/v9'] };
    const proof = await device.releaseProof(await link.challenge(), boundToAsk(link.exporter, ask), 'bound-release');
    const answer = await link.ask('POST', '/v1/releases', { ...ask, ...proof });
    assertRefused(answer, { status: 400, code: 'request-invalid', says: /edgekeep-wrapped-key\/v9/ });
  }
});

// SECURITY.md: DEV-62
test(
  'an agent that goes back to the form before is served, and an alert says so until it asks for bound keys again',
  { skip },
  async () => {
    const { world } = fleet;
    for (const { device, link } of devices) {
      const before = await device.releaseBound(link, model.name, model.version);
      assert.deepEqual(await alertsOf(world, device.id, 'key-wrap-downgraded'), []);
      const former = accepted(await device.askForKey(link, model.name, model.version), releaseResponse);
      assert.equal(former.wrappedKey.type, undefined);
      const [alert] = await alertsOf(world, device.id, 'key-wrap-downgraded');
      assert.deepEqual([alert?.state, alert?.severity], ['open', 'medium']);
      // The log shows the form of each key.
      const released = await world.entries('key-released');
      const own = released.filter(({ subject }) => subject === `device:${device.id}`);
      const wraps = own.map(({ data }) => keyReleaseSchema.parse(data).wrap);
      assert.deepEqual(wraps.slice(-2), [boundWrapType, undefined]);
      await device.releaseBound(link, model.name, model.version);
      const [closed] = await alertsOf(world, device.id, 'key-wrap-downgraded');
      assert.equal(closed?.state, 'closed');
      assert.ok(before.lease.id !== former.lease.id);
    }
  },
);
