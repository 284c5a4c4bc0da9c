// The publisher's release policy at the hub: asked before the operator's policy, and again when the key is recorded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundWrapType } from '@edgekeep/core/access/wrap-context';
import { ownAttestationResult } from '@edgekeep/core/attest/ear';
import { affirmedRelease, type ReleasePolicy, releasePolicyDigest } from '@edgekeep/core/model/release-policy';
import { createGroup } from '../registry/groups.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { auditEntries } from '../store/testing-store.ts';
import { unmetGroups } from './publisher-fleet.ts';
import { ask, by, nowMs, openReleaseHub, press, type ReleaseHub, type TestAsk } from './testing-release.ts';

const agent = { version: '2.0.0', wraps: [boundWrapType] } as const;
const maker = 'cd'.repeat(32);

async function openHub(policy: ReleasePolicy): Promise<ReleaseHub> {
  const hub = await openReleaseHub();
  await hub.publish('2.0.0', nowMs + 1, policy);
  return hub;
}
const asked = (hub: ReleaseHub, change: TestAsk = {}) => ask(hub, { ...agent, ...change });
const refusal = async (hub: ReleaseHub, change?: TestAsk) => refusalOf(asked(hub, change));
const storeMaker = ({ database }: ReleaseHub, kind: 'tpm' | 'idevid') =>
  database.write((trx) =>
    trx.insertInto('device_maker_path').values({ device_id: press.id, kind, sha256: maker }).execute(),
  );
async function enterGroup({ database }: ReleaseHub, name: string): Promise<void> {
  await createGroup(database, { name, description: '', filter: undefined, ...by });
  await database.write((trx) =>
    trx.insertInto('device_group_member').values({ group_name: name, device_id: press.id }).execute(),
  );
}

// SECURITY.md: HUB-78
test('the publisher refuses a device that the operator’s policy permits, and the log says why', async () => {
  await using hub = await openHub({ tiers: ['dice'] });
  assert.equal(await refusal(hub), 'release-refused: publisher-tier');
  const entries = await auditEntries(hub.database);
  assert.deepEqual(
    entries.filter(({ kind }) => kind === 'release-refused').map(({ data }) => JSON.stringify(data)),
    [
      JSON.stringify({
        model: 'belt@2.0.0',
        reasons: [{ code: 'publisher-tier', message: 'the tier is tpm; the publisher permits dice' }],
      }),
    ],
  );
});

test('what a policy permits is released, and the entry names its digest and what it rests on', async () => {
  const first = await openHub({ tiers: ['tpm'] });
  const release = affirmedRelease(ownAttestationResult((await asked(first)).recorded.attestationResult));
  await first[Symbol.asyncDispose]();
  assert.ok(release !== undefined);
  const policy: ReleasePolicy = {
    tiers: ['tpm'],
    releases: [release],
    makers: [maker],
    groups: ['far', 'line'],
    quorum: 2,
  };
  await using hub = await openHub(policy);
  await storeMaker(hub, 'tpm');
  hub.parts.witnesses.others = 2;
  await asked(hub);
  const released = (await auditEntries(hub.database)).filter(({ kind }) => kind === 'key-released');
  assert.deepEqual(
    released.map(({ data }) => data['releasePolicy']),
    [{ digest: releasePolicyDigest(policy), group: 'line', maker }],
  );
});

// SECURITY.md: HUB-78
test('each member refuses on its own', async (t) => {
  const cases: readonly (readonly [string, ReleasePolicy, string])[] = [
    ['another release', { tiers: ['tpm'], releases: ['ab'.repeat(32)] }, 'publisher-release'],
    ['another maker', { tiers: ['tpm'], makers: [maker] }, 'publisher-maker'],
    ['a group that it is not in', { tiers: ['tpm'], groups: ['far'] }, 'publisher-group'],
    ['too few witnesses', { tiers: ['tpm'], quorum: 1 }, 'publisher-quorum'],
  ];
  for (const [name, policy, code] of cases) {
    await t.test(name, async () => {
      await using hub = await openHub(policy);
      assert.equal(await refusal(hub), `release-refused: ${code}`);
    });
  }
  await t.test('the maker of another part of the device', async () => {
    await using hub = await openHub({ tiers: ['tpm'], makers: [maker] });
    await storeMaker(hub, 'idevid');
    assert.equal(await refusal(hub), 'release-refused: publisher-maker');
  });
});

// SECURITY.md: HUB-79
test('a group whose members say it of themselves is none of the publisher’s', async () => {
  await using hub = await openHub({ tiers: ['tpm'], groups: ['patched'] });
  const claimed = { name: 'patched', description: '', filter: 'reported.patched==true', ...by };
  await createGroup(hub.database, claimed);
  await hub.database.write((trx) =>
    trx
      .insertInto('device_attribute')
      .values({ device_id: press.id, side: 'reported', path: 'patched', text_value: 'true', number_value: null })
      .execute(),
  );
  assert.equal(await refusal(hub), 'release-refused: publisher-group');
});

test('a device that leaves the group, or loses its maker, between decision and record gets no key', async (t) => {
  const changes: readonly (readonly [string, ReleasePolicy, string, (hub: ReleaseHub) => Promise<unknown>])[] = [
    [
      'its group',
      { tiers: ['tpm'], groups: ['far'] },
      'publisher-group',
      ({ database }) =>
        database.write((trx) => trx.deleteFrom('device_group_member').where('group_name', '=', 'far').execute()),
    ],
    [
      'its maker',
      { tiers: ['tpm'], makers: [maker] },
      'publisher-maker',
      ({ database }) => database.write((trx) => trx.deleteFrom('device_maker_path').execute()),
    ],
  ];
  for (const [name, policy, code, change] of changes) {
    await t.test(name, async () => {
      await using hub = await openHub(policy);
      await storeMaker(hub, 'tpm');
      await enterGroup(hub, 'far');
      let changed: Promise<unknown> | undefined;
      hub.parts.platformKey.onUse = () => void (changed ??= change(hub));
      assert.equal(await refusal(hub), `release-refused: ${code}`);
      await changed;
      assert.equal((await auditEntries(hub.database)).filter(({ kind }) => kind === 'key-released').length, 0);
    });
  }
});

test('an agent of the version before, which reads no release policy, gets no key of such a release', async () => {
  await using hub = await openHub({ tiers: ['tpm'] });
  assert.equal(await refusal(hub, { wraps: undefined }), 'release-refused: publisher-agent');
});

test('an assignment that the policy cannot meet is named, with the devices and the reason', async () => {
  await using hub = await openHub({ tiers: ['dice'] });
  const [unmet, ...others] = await unmetGroups(hub.database.read, 'belt', ['line'], nowMs);
  assert.equal(others.length, 0);
  assert.deepEqual([unmet?.group, unmet?.devices, unmet?.refused], ['line', 2, 2]);
  assert.deepEqual(unmet?.first, ['press-1', 'press-2']);
  assert.deepEqual(unmet?.reasons, [
    { code: 'publisher-tier', message: 'the tier is tpm; the publisher permits dice', devices: 2 },
  ]);
  await using met = await openHub({ tiers: ['tpm'], releases: ['ab'.repeat(32)], quorum: 64 });
  assert.deepEqual(await unmetGroups(met.database.read, 'belt', ['line'], nowMs), []);
  assert.deepEqual(await unmetGroups(met.database.read, 'oven', ['line'], nowMs), []);
});
