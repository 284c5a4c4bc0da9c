// Who is a witness: never the receiver of a key, hardware only unless the operator says otherwise, one token once; and a quorum that cannot be
// met does not shrink unseen. At the hub, where cosignatures are counted, and at a stranger who reads the receipt.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { groupTokenResponse } from '@edgekeep/wire/api/enrollment-group';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { witnessPolicyView } from '@edgekeep/wire/api/audit';
import { z } from 'zod';
import { assertRefused } from '../support/answer.ts';
import { changeStore } from '../support/edited-store.ts';
import type { DeviceLink, Released } from '../support/device-link.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { TestWitness } from '../support/witness.ts';

const software = { quorum: 1, tiers: ['software'], whenUnmet: 'refuse', text: null } as const;
let fleet: SoftwareWorld;
const more: TestDevice[] = [];

before(async () => {
  fleet = await SoftwareWorld.open();
  await fleet.world.publishModel('surface', '1.0.0', 'weights');
});
after(async () => {
  for (const device of more) await device[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
});

async function joined(id: string, token?: string): Promise<{ device: TestDevice; link: DeviceLink }> {
  const { world } = fleet;
  const device = await TestDevice.withoutTpm(id, join(world.folder, id));
  more.push(device);
  if (token === undefined) await device.enroll(world);
  else assert.equal((await device.tryEnroll(world, token)).status, 200);
  return { device, link: await device.connect(world.hub) };
}

async function receiptOf({ lease }: Released): Promise<Uint8Array> {
  const { receipt } = await fleet.world.operator.get(`/v1/receipts/${lease.id}`, receiptResponse);
  return Buffer.from(receipt, 'base64url');
}

async function cosign(device: TestDevice, link: DeviceLink): Promise<void> {
  const { world } = fleet;
  await new TestWitness(world.hub.logKey, device.witness).checkIn(link, Math.floor(world.clock.now() / 1_000));
}

const setPolicy = (policy: object) => fleet.world.operator.send('PUT', '/v1/witness-policy', policy, witnessPolicyView);

// SECURITY.md: HUB-95
test('devices in software, as many as somebody with a token maker can make, are no witnesses', async () => {
  const { world, device, link } = fleet;
  const released = await device.releaseBound(link, 'surface', '1.0.0');
  for (let at = 0; at < 3; at += 1) {
    const sybil = await joined(`sybil-${at}`);
    await cosign(sybil.device, sybil.link);
  }
  const trust = await world.trust();
  assert.deepEqual([trust.policy.witnesses, trust.policy.rule?.unreachable], [[], { required: 1, available: 0 }]);
  const receipt = await receiptOf(released);
  assert.equal(verifyReceipt(receipt, { ...trust, whenUnmet: 'refuse' }).kind, 'refused');
});

// SECURITY.md: HUB-97
test('a fleet that cannot meet the quorum gets a receipt that is named weaker and an alert, or no key', async () => {
  const { world, device, link } = fleet;
  const receipt = await receiptOf(await device.releaseBound(link, 'surface', '1.0.0'));
  const verdict = verifyReceipt(receipt, await world.trust());
  if (verdict.kind !== 'verified') assert.fail(verdict.reasons.join('; '));
  assert.equal(verdict.summary.release.witnessing?.reachable, false);
  assert.match(verdict.summary.weaker ?? '', /asks for 1 independent witness, and the fleet has 0/);
  const alerts = await world.operator.get(
    '/v1/alerts?kind=witness-quorum',
    z.looseObject({ alerts: z.array(z.looseObject({ severity: z.string() })) }),
  );
  assert.deepEqual(
    alerts.alerts.map(({ severity }) => severity),
    ['medium'],
  );
  await setPolicy({ ...software, tiers: ['tpm'] });
  const refused = await device.askForBoundKey(link, 'surface', '1.0.0');
  assertRefused(refused, { status: 403, code: 'release-refused', reason: 'witness-quorum-unreachable' });
});

// SECURITY.md: HUB-96
test('the receiver is no witness of its own receipt, at the hub and at a reader', async () => {
  const { world, device, link } = fleet;
  await setPolicy(software);
  const released = await device.releaseBound(link, 'surface', '1.0.0');
  await cosign(device, link);
  const trust = await world.trust();
  assert.ok(trust.policy.witnesses.some(({ name }) => name === device.witness.name));
  const alone = verifyReceipt(await receiptOf(released), trust);
  assert.ok(alone.kind === 'refused' && /0 of 1 required/.test(alone.reasons.join()), JSON.stringify(alone));
  const other = await joined('press-2');
  await cosign(other.device, other.link);
  const verdict = verifyReceipt(await receiptOf(released), await world.trust());
  assert.ok(verdict.kind === 'verified', JSON.stringify(verdict));
  assert.deepEqual(
    verdict.summary.log.cosignatures.map(({ witness }) => witness),
    [other.device.witness.name],
  );
  assert.equal(verdict.summary.weaker, undefined);
});

// SECURITY.md: HUB-96
test('devices that enrolled by one token count once', async () => {
  const { world, device, link } = fleet;
  const group = { name: 'crowd', kind: 'token' };
  await world.operator.send('POST', '/v1/enrollment-groups', group, z.looseObject({}));
  const order = { maxUses: 3 };
  const path = '/v1/enrollment-groups/crowd/tokens';
  const { token } = await world.operator.send('POST', path, order, groupTokenResponse);
  const crowd = [];
  for (let at = 0; at < 3; at += 1) crowd.push(await joined(`crowd-${at}`, token));
  await setPolicy({ ...software, quorum: 2 });
  const released = await device.releaseBound(link, 'surface', '1.0.0');
  world.clock.advanceSeconds(61);
  for (const each of crowd) await cosign(each.device, each.link);
  const alone = verifyReceipt(await receiptOf(released), await world.trust());
  assert.ok(alone.kind === 'refused' && /in the groups of fleet/.test(alone.reasons.join()), JSON.stringify(alone));
  const other = await joined('press-4');
  await cosign(other.device, other.link);
  assert.equal(verifyReceipt(await receiptOf(released), await world.trust()).kind, 'verified');
  await setPolicy(software);
});

// SECURITY.md: HUB-97
test('a policy that another node has set, and that this one has not read yet, counts in the transaction that releases', async () => {
  const { world, device, link } = fleet;
  await setPolicy(software);
  await device.releaseBound(link, 'surface', '1.0.0');
  const next = JSON.stringify({ quorum: 1, text: null, tiers: ['tpm'], whenUnmet: 'refuse' });
  const applied =
    "insert into witness_policy select max(version) + 1, ?, max(applied_at), 'another node' from witness_policy";
  await changeStore(world.place, applied, next);
  const refused = await device.askForBoundKey(link, 'surface', '1.0.0');
  assertRefused(refused, { status: 403, code: 'release-refused', reason: 'witness-quorum-unreachable' });
  await setPolicy(software);
});

test('a receipt of yesterday verifies after its witness and its receiver are retired', async () => {
  const { world, device, link } = fleet;
  const witness = await joined('press-3');
  const released = await device.releaseBound(link, 'surface', '1.0.0');
  await cosign(witness.device, witness.link);
  const receipt = await receiptOf(released);
  world.clock.advanceSeconds(60);
  for (const id of ['press-3', 'software']) {
    await world.setState(id, 'quarantine');
    await world.setState(id, 'retire');
  }
  const verdict = verifyReceipt(receipt, await world.trust());
  assert.ok(verdict.kind === 'verified', JSON.stringify(verdict));
});
