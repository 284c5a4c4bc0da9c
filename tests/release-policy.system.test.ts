// A real agent with a TPM simulator, and models whose publisher says who may get the key: by the maker of the TPM, by the boot, by the tier.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { affirmedRelease, type ReleasePolicy, releasePolicyDigest } from '@edgekeep/core/model/release-policy';
import { JobDevice } from './main-job/job-device.ts';
import { jobTest, JobWorld } from './main-job/job-world.ts';

describe('a model with a release policy', jobTest, () => {
  let world: JobWorld;
  let path: string;

  before(async () => {
    world = await JobWorld.open();
    path = await world.source('weights.bin', 'weights for few');
  });
  after(() => world?.[Symbol.asyncDispose]());

  const publish = (name: string, releasePolicy: ReleasePolicy) =>
    world.publish({ path, name, version: '1.0.0', releasePolicy });
  const receiptOf = async (device: JobDevice, name: string) => {
    const receipt = await readFile(join(device.stateFolder, 'receipts', `${name}.json`));
    const trust = { ...(await world.hub.trust()), policy: { witnesses: [], quorum: 0 } };
    const verdict = verifyReceipt(receipt, trust);
    assert.ok(verdict.kind === 'verified', JSON.stringify(verdict));
    return verdict.summary;
  };

  test('opens on the device that it permits: the TPM’s payload carries the policy’s digest, and the receipt shows it', async () => {
    await publish('for-tpm', { tiers: ['tpm'] });
    const first = await JobDevice.prepare(world, 'press-1', [{ name: 'for-tpm', use: 'program' }]);
    await (await first.start()).next('ready');
    const { release, attestation } = await receiptOf(first, 'for-tpm');
    assert.deepEqual(release.releasePolicy, { digest: releasePolicyDigest({ tiers: ['tpm'] }) });
    await first.stop();
    const booted = affirmedRelease(attestation);
    assert.ok(booted !== undefined, attestation.policyId);
    const narrow: ReleasePolicy = { tiers: ['tpm'], releases: [booted] };
    await publish('for-boot', narrow);
    const second = await JobDevice.prepare(world, 'press-2', [{ name: 'for-boot', use: 'program' }]);
    await (await second.start()).next('ready');
    const shown = (await receiptOf(second, 'for-boot')).release.releasePolicy;
    assert.deepEqual(shown, { digest: releasePolicyDigest(narrow) });
    await second.stop();
  });

  test('stays closed on every other: the agent does not ask, or the hub refuses', async () => {
    await publish('for-dice', { tiers: ['dice'] });
    const third = await JobDevice.prepare(world, 'press-3', [{ name: 'for-dice', use: 'program' }]);
    const fault = await (await third.start()).next('model-refused');
    assert.deepEqual([fault.model, fault.code], ['for-dice', 'lease-refused']);
    assert.match(fault.why, /the publisher of for-dice gives its key to dice, this device is tpm/);
    await third.stop();
    await publish('for-other-boot', { tiers: ['tpm'], releases: ['ab'.repeat(32)] });
    const fourth = await JobDevice.prepare(world, 'press-4', [{ name: 'for-other-boot', use: 'program' }]);
    const refused = await (await fourth.start()).next('refused');
    assert.deepEqual(
      refused.reasons.map(({ code }) => code),
      ['publisher-release'],
    );
    await fourth.stop();
  });
});
