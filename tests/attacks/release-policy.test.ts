// The operator of a hub gives the key of a model to a device that its publisher excludes. The hub refuses; so do the device, and an auditor who
// has the manifest and the receipt. TPM simulators, a software root of trust, a real hub, the command line's verifier.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { keyReleaseSchema } from '@edgekeep/core/access/key-release';
import type { WrapContext } from '@edgekeep/core/access/wrap-context';
import { type ReleasePolicy, releasePolicyDigest } from '@edgekeep/core/model/release-policy';
import { parseBase64url } from '@edgekeep/core/bytes';
import { groupView, membersResponse } from '@edgekeep/wire/api/registry';
import { assignedGroups } from '@edgekeep/wire/api/model';
import { modelList } from '@edgekeep/wire/api/model-release';
import { policyView, simulation } from '@edgekeep/wire/api/policy';
import { assertRefused } from '../support/answer.ts';
import { closeAll } from '../support/closing.ts';
import type { DeviceLink } from '../support/device-link.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { skipWithoutTpm as skip, TpmWorld } from '../support/tpm-world.ts';

const policy: ReleasePolicy = { tiers: ['tpm'], groups: ['line-1'] };
const name = 'weights';

const execute = promisify(execFile);
const program = join(import.meta.dirname, '../../cli/src/main.ts');

let fleet: TpmWorld;
let owner: TestDevice;
let software: TestDevice;
let ownerLink: DeviceLink;
let softwareLink: DeviceLink;

before(async () => {
  if (skip !== false) return;
  fleet = await TpmWorld.open();
  const { world } = fleet;
  await world.publishModel(name, '1.0.0', 'weights', undefined, policy);
  owner = await fleet.device('owner');
  software = fleet.keep(await TestDevice.withoutTpm('software', `${world.folder}/software`));
  await software.enroll(world);
  // All that an operator may decide is decided in favor of both devices.
  await world.operator.send('PUT', '/v1/policy', { text: policyForAnyTier }, policyView);
  await world.operator.send('POST', '/v1/groups', { name: 'line-1', description: '' }, groupView);
  await change({ add: ['owner', 'software'] });
  ownerLink = await owner.connect(world.hub);
  softwareLink = await software.connect(world.hub);
});
after(async () => {
  await closeAll(fleet, ownerLink, softwareLink);
});

const change = (members: { add?: string[]; remove?: string[] }) =>
  fleet.world.operator.send('POST', '/v1/groups/line-1/members', members, membersResponse);

// SECURITY.md: HUB-78
test('the publisher excludes a tier, and no policy of an operator brings it back', { skip }, async () => {
  const answer = await software.askForBoundKey(softwareLink, name, '1.0.0');
  assertRefused(answer, { status: 403, code: 'release-refused', reason: 'publisher-tier', says: /permits tpm/ });
  await owner.releaseBound(ownerLink, name, '1.0.0');
});

// SECURITY.md: DEV-78
test('the receipt shows the publisher’s policy, and the key opens under its digest only', { skip }, async () => {
  const { lease, wrappedKey, receipt } = await owner.releaseBound(ownerLink, name, '1.0.0');
  const verdict = verifyReceipt(parseBase64url(receipt, 'receipt'), {
    ...(await fleet.world.trust()),
    policy: { witnesses: [], quorum: 0 },
  });
  assert.ok(verdict.kind === 'verified', JSON.stringify(verdict));
  const digest = releasePolicyDigest(policy);
  assert.deepEqual(verdict.summary.release.releasePolicy, { digest, group: 'line-1' });
  const { rootOfTrust } = owner;
  const opens = (context: WrapContext) => rootOfTrust.openKey(wrappedKey, { context });
  assert.equal((await opens({ purpose: 'model key', lease, releasePolicy: digest })).length, 32);
  const lax = releasePolicyDigest({ tiers: ['tpm', 'software'] });
  await assert.rejects(opens({ purpose: 'model key', lease, releasePolicy: lax }), { code: 'wrapped-key-refused' });
  await assert.rejects(opens({ purpose: 'model key', lease }), { code: 'wrapped-key-refused' });
});

// SECURITY.md: HUB-79
test(
  'a device that the operator takes out of the publisher’s group gets no further key; each change of the group is logged',
  { skip },
  async () => {
    const { world } = fleet;
    await change({ remove: ['owner'] });
    const answer = await owner.askForBoundKey(ownerLink, name, '1.0.0');
    assertRefused(answer, { status: 403, code: 'release-refused', reason: 'publisher-group' });
    await change({ add: ['owner'] });
    await owner.releaseBound(ownerLink, name, '1.0.0');
    const released = await world.entries('key-released');
    assert.equal(keyReleaseSchema.parse(released.at(-1)?.data).releasePolicy?.group, 'line-1');
  },
);

test('an agent of the version before gets no key of such a release', { skip }, async () => {
  const answer = await owner.askForKey(ownerLink, name, '1.0.0');
  assertRefused(answer, { status: 403, code: 'release-refused', reason: 'publisher-agent' });
});

test('operators see the policy, and which devices it refuses, before a device asks', { skip }, async () => {
  const { operator } = fleet.world;
  const { models } = await operator.get('/v1/models', modelList);
  assert.deepEqual(models.find((each) => each.name === name)?.releasePolicy, policy);
  const assigned = await operator.send('POST', `/v1/models/${name}/groups`, { add: ['line-1'] }, assignedGroups);
  const [unmet] = assigned.unmet;
  assert.deepEqual([unmet?.group, unmet?.devices, unmet?.refused, unmet?.first], ['line-1', 2, 1, ['software']]);
  const draft = { text: policyForAnyTier, last: 0 };
  const simulated = await operator.send('POST', '/v1/policy/simulate', draft, simulation);
  const [publisher] = simulated.publishers;
  assert.deepEqual([publisher?.model, publisher?.devices, publisher?.first], [name, 2, ['software']]);
  assert.match(publisher?.reasons[0]?.message ?? '', /the tier is software/);
  const run = async (...words: readonly string[]) =>
    (await execute(process.execPath, [program, ...words, '--operator', fleet.world.operatorFile])).stdout;
  const warning =
    /group line-1: the release policy gives 1 of 2 devices no key: software: the tier is software; the publisher permits tpm/;
  assert.match(await run('model', 'assign', name, 'line-1'), warning);
  const shown = await run('model', 'show', name);
  assert.match(shown, warning);
  assert.match(shown, /release policy of weights 1\.0\.0.*tiers tpm.*groups line-1/s);
});
