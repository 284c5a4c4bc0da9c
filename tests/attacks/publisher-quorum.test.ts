// A publisher asks for more witnesses than the hub: keys are released once they have cosigned, and every later receipt carries as many.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { assertRefused } from '../support/answer.ts';
import type { DeviceLink } from '../support/device-link.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { TestWitness } from '../support/witness.ts';

interface Member {
  readonly device: TestDevice;
  readonly link: DeviceLink;
  readonly witness: TestWitness;
}

let fleet: SoftwareWorld;
const members: Member[] = [];

before(async () => {
  fleet = await SoftwareWorld.open({ witness: { quorum: 1, tiers: ['software'] } });
  const { world } = fleet;
  const policy = { tiers: ['software' as const], quorum: 3 };
  await world.publishModel('for-three', '1.0.0', 'weights', world.publisher, policy);
  for (let at = 0; at < 4; at += 1) {
    const device = await TestDevice.withoutTpm(`press-${at}`, join(world.folder, `press-${at}`));
    await device.enroll(world);
    const link = await device.connect(world.hub);
    members.push({ device, link, witness: new TestWitness(world.hub.logKey, device.witness) });
  }
});
after(async () => {
  for (const { device } of members) await device[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
});

async function cosign(...which: readonly number[]): Promise<void> {
  for (const at of which) {
    const { witness, link } = members[at] ?? assert.fail();
    await witness.checkIn(link, Math.floor(fleet.world.clock.now() / 1_000));
  }
}

async function verdictOf(leaseId: string): Promise<string> {
  const { receipt } = await fleet.world.operator.get(`/v1/receipts/${leaseId}`, receiptResponse);
  const verdict = verifyReceipt(Buffer.from(receipt, 'base64url'), await fleet.world.trust());
  return verdict.kind === 'verified' ? 'verified' : verdict.reasons.join();
}

// SECURITY.md: HUB-78
test('the quorum is met at the release, and the receipts of two releases carry it, also when its witnesses come late', async () => {
  const { device, link } = fleet;
  const ask = () => device.askForBoundKey(link, 'for-three', '1.0.0');
  const refused = { status: 403, code: 'release-refused', reason: 'publisher-quorum' };
  await cosign(0, 1);
  assertRefused(await ask(), refused);
  await cosign(2, 3);
  const { lease: first } = await device.releaseBound(link, 'for-three', '1.0.0');
  // The next round covers the first lease. It has the hub's quorum with one witness, and waits for the others.
  await cosign(0);
  const { lease: second } = await device.releaseBound(link, 'for-three', '1.0.0');
  assert.match(await verdictOf(first.id), /1 other witnesses cosigned; the publisher asks for 3/);
  await cosign(1, 2, 3);
  assert.equal(await verdictOf(first.id), 'verified');
  await cosign(0, 1);
  assert.equal(await verdictOf(first.id), 'verified');
  await cosign(2, 3);
  assert.deepEqual([await verdictOf(first.id), await verdictOf(second.id)], ['verified', 'verified']);
});
