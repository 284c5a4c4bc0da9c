// A hybrid key that is not the device's own, a wrap without it, and the two layers of a wrap apart. TPM simulators, a software root of trust, a
// real hub.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { openHybridLayer } from '@edgekeep/core/access/hybrid-wrap';
import { keyReleaseSchema } from '@edgekeep/core/access/key-release';
import { boundWrapType, hybridWrapType, type WrapContext } from '@edgekeep/core/access/wrap-context';
import { hybridSuite } from '@edgekeep/core/identity/hybrid-hpke';
import { xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import { releaseResponse } from '@edgekeep/wire/api/access';
import { bindResponse } from '@edgekeep/wire/api/attest';
import { policyView } from '@edgekeep/wire/api/policy';
import { alertsOf } from '../support/alerts.ts';
import { accepted, assertRefused } from '../support/answer.ts';
import { closeAll } from '../support/closing.ts';
import type { DeviceLink } from '../support/device-link.ts';
import {
  askForWraps,
  newSeed,
  openHybrid,
  registerHybridKey,
  releaseHybrid,
  tryHybridKey,
} from '../support/hybrid-device.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

let fleet: TpmWorld;
const devices: { readonly device: TestDevice; readonly link: DeviceLink; readonly seed: Uint8Array }[] = [];

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  const { world } = fleet;
  const software = fleet.keep(await TestDevice.withoutTpm('software', `${world.folder}/software`));
  await software.enroll(world);
  await world.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  for (const device of [await fleet.device('owner'), software]) {
    devices.push({ device, link: await device.connect(world.hub), seed: newSeed() });
  }
});
after(async () => {
  await closeAll(fleet, ...devices.map(({ link }) => link));
});

// SECURITY.md: DEV-90
test(
  'a hybrid key that the device does not have, or that its root of trust did not sign for, is not registered',
  { skip },
  async () => {
    for (const { device, link, seed } of devices) {
      const other = xwingPublicKey(newSeed());
      const mismatch = { status: 403, code: 'renewal-refused', reason: 'qualifying-data-mismatch' };
      assertRefused(await tryHybridKey(device, link, seed, { key: other, secret: randomBytes(32) }), {
        status: 403,
        code: 'renewal-refused',
        reason: 'hybrid-key-not-possessed',
      });
      // Somebody between them puts their own key into the request, and can open its secret.
      const between = newSeed();
      const own = { subject: { hybridKey: xwingPublicKey(seed) } };
      assertRefused(await tryHybridKey(device, link, between, own), mismatch);
      for (const subject of [
        { hub: 'elsewhere.test/log' },
        { deviceId: 'another' },
        { exporter: randomBytes(32) },
        { keys: { kind: 'software' } },
      ])
        assertRefused(await tryHybridKey(device, link, seed, { subject }), mismatch);
      const forRelease = (nonce: Uint8Array) => device.evidence('release', nonce, link.exporter);
      assertRefused(await tryHybridKey(device, link, seed, { evidence: forRelease }), mismatch);
      const { hybridKey } = accepted(await device.bind(link), bindResponse);
      assert.equal(hybridKey, '');
    }
  },
);

test('bytes that are no key, and a second step without the first, are refused', { skip }, async () => {
  for (const { device, link, seed } of devices) {
    for (const key of [randomBytes(1215), randomBytes(0), Buffer.alloc(1216, 0xff)]) {
      assertRefused(await tryHybridKey(device, link, seed, { key }), { status: 400, code: 'request-invalid' });
    }
    const evidence = await device.evidence('release', await link.challenge(), link.exporter);
    const answer = await link.ask('POST', '/v1/hybrid-key', { secret: 'AAAA', evidence });
    assertRefused(answer, { status: 409, code: 'challenge-missing' });
  }
});

// SECURITY.md: DEV-91
test(
  'from its hybrid key on, a device gets no key in another wrap, and an alert says who asked',
  { skip },
  async () => {
    const { world } = fleet;
    for (const { device, link, seed } of devices) {
      const missing = await askForWraps(device, link, model, [hybridWrapType]);
      assertRefused(missing, { status: 403, code: 'release-refused', reason: 'hybrid-key-missing' });
      assert.equal((await device.releaseBound(link, model.name, model.version)).wrappedKey.type, boundWrapType);
      await registerHybridKey(device, link, seed);
      const required = { status: 403, code: 'release-refused', reason: 'hybrid-wrap-required' };
      assertRefused(await device.askForBoundKey(link, model.name, model.version), required);
      assertRefused(await device.askForKey(link, model.name, model.version), required);
      const [alert] = await alertsOf(world, device.id, 'key-wrap-downgraded');
      assert.deepEqual([alert?.state, alert?.severity], ['open', 'medium']);
      // What it reads is part of what its root of trust signs.
      const weaker = await askForWraps(device, link, model, [boundWrapType], {
        wraps: [boundWrapType, hybridWrapType],
      });
      assertRefused(weaker, { status: 403, code: 'attestation-refused', reason: 'qualifying-data-mismatch' });
      const released = await releaseHybrid(device, link, model);
      assert.deepEqual([released.wrappedKey.type, released.wrappedKey.hybrid?.suite], [hybridWrapType, hybridSuite]);
      assert.equal((await openHybrid(device, released, seed)).length, 32);
      const entries = await world.entries('key-released');
      const own = entries.filter(({ subject }) => subject === `device:${device.id}`);
      const { wrap, suite } = keyReleaseSchema.parse(own.at(-1)?.data);
      assert.deepEqual([wrap, suite], [hybridWrapType, hybridSuite]);
      assert.equal((await alertsOf(world, device.id, 'key-wrap-downgraded'))[0]?.state, 'closed');
    }
  },
);

// SECURITY.md: DEV-92
test('one layer without the other gives nothing, and layers of two leases do not fit together', { skip }, async () => {
  const refused = { code: 'hpke-open' };
  for (const { device, link, seed } of devices) {
    const { rootOfTrust } = device;
    const first = await releaseHybrid(device, link, model);
    const second = await releaseHybrid(device, link, model);
    const modelKey = await openHybrid(device, first, seed);
    assert.deepEqual(await openHybrid(device, second, seed), modelKey);
    const { hybrid } = first.wrappedKey;
    assert.ok(hybrid !== undefined && second.wrappedKey.hybrid !== undefined);
    const context: WrapContext = { purpose: 'model key', lease: first.lease };
    const psk = await rootOfTrust.openKey(first.wrappedKey, { context, leaseId: first.lease.id });
    // What the root of trust opens is a random secret.
    assert.notDeepEqual(psk, modelKey);
    assert.throws(() => openHybridLayer(hybrid, { seed: newSeed(), psk, context }), refused);
    // The hybrid key alone opens nothing.
    for (const wrong of [new Uint8Array(32), randomBytes(32), modelKey])
      assert.throws(() => openHybridLayer(hybrid, { seed, psk: wrong, context }), refused);
    const { hybrid: later } = second.wrappedKey;
    assert.throws(() => openHybridLayer(later, { seed, psk, context }), refused);
    // The first layer is for this form alone.
    await assert.rejects(
      rootOfTrust.openKey({ ...first.wrappedKey, type: boundWrapType }, { context, leaseId: first.lease.id }),
      { code: 'wrapped-key-refused' },
    );
  }
});

// SECURITY.md: DEV-90
test('one hybrid key is one device’s, and a device may name another one, which the log shows', { skip }, async () => {
  const [one, two] = devices;
  assert.ok(one !== undefined && two !== undefined);
  assertRefused(await tryHybridKey(two.device, two.link, one.seed), {
    status: 403,
    code: 'renewal-refused',
    reason: 'hybrid-key-taken',
  });
  const next = newSeed();
  await registerHybridKey(one.device, one.link, next);
  const released = await releaseHybrid(one.device, one.link, model);
  await assert.rejects(openHybrid(one.device, released, one.seed), { code: 'hpke-open' });
  assert.equal((await openHybrid(one.device, released, next)).length, 32);
  const entries = (await fleet.world.entries('hybrid-key-registered')).map(({ data }) => JSON.stringify(data));
  assert.equal(entries.length, 3);
  assert.match(entries.at(-1) ?? '', /replaces/);
  const renewed = await releaseHybrid(one.device, one.link, model);
  assert.ok(releaseResponse.parse(renewed).lease.id !== released.lease.id);
});
