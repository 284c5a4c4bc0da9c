// A boot that was accepted once, or is accepted elsewhere: the release before the newest, and the release of another product.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { assertRefused } from '../support/answer.ts';
import { healthyBoot, referenceValuesOf, stage } from '../support/boot.ts';
import type { TestDevice } from '../support/test-device.ts';
import { model, skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

const newerBoot = [...healthyBoot, stage(9, eventTypes.ipl, 'modules 6.1.1', 'modules 6.1.1')];

async function codesAfterRefusal(fleet: TpmWorld, device: TestDevice): Promise<readonly string[]> {
  await using link = await device.connect(fleet.world.hub);
  assertRefused(await device.askForKey(link, model.name, model.version), { status: 403, code: 'attestation-refused' });
  const { appraisal } = await fleet.world.device(device.id);
  assert.equal(appraisal?.status, 'contraindicated');
  return appraisal.reasons.map(({ code }) => code);
}

async function getsKey(fleet: TpmWorld, device: TestDevice): Promise<void> {
  await using link = await device.connect(fleet.world.hub);
  const { status } = await device.askForKey(link, model.name, model.version);
  assert.equal(status, 200);
}

// SECURITY.md: DEV-66
test(
  'a device that is set back to the release before gets keys in the grace time, and none after it',
  { skip },
  async () => {
    await using fleet = await TpmWorld.open({ attestation: { supersededGraceSeconds: 600 } });
    const device = await fleet.device('set-back');
    await fleet.world.publishReferenceValues(referenceValuesOf(newerBoot, '2.0'));
    await getsKey(fleet, device);
    fleet.world.clock.advanceSeconds(601);
    assert.equal((await codesAfterRefusal(fleet, device))[0], 'boot-superseded');
    // The old set cannot be published again under its name, and an older one that was never published is refused.
    const older = fleet.world.publishReferenceValues(referenceValuesOf(healthyBoot, '0.9'));
    await assert.rejects(older, /no boot can match: test-device 1\.0 superseded it/);
  },
);

// SECURITY.md: DEV-66
test('a release below the lowest version of a newer one counts no more from its publication on', { skip }, async () => {
  await using fleet = await TpmWorld.open();
  const device = await fleet.device('below');
  await getsKey(fleet, device);
  await fleet.world.publishReferenceValues({ ...referenceValuesOf(newerBoot, '2.0'), lowestVersion: '2.0' });
  assert.equal((await codesAfterRefusal(fleet, device))[0], 'boot-below-lowest');
});

// SECURITY.md: DEV-67
test(
  'the release of one product gives no key to a device of another, until an operator says that it is one',
  { skip },
  async () => {
    await using fleet = await TpmWorld.open();
    const target = { tags: { product: 'press' } };
    await fleet.world.publishReferenceValues({ ...referenceValuesOf(newerBoot, '1.0'), name: 'press', target });
    const device = await fleet.device('other-product', newerBoot);
    assert.equal((await codesAfterRefusal(fleet, device))[0], 'boot-not-for-device');
    const tagged = { set: { product: 'press' } };
    await fleet.world.operator.send('POST', `/v1/devices/${device.id}/tags`, tagged, z.unknown());
    await getsKey(fleet, device);
  },
);
