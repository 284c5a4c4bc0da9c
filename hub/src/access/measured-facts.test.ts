// What was measured of a boot, as a policy sees it: in the evidence of a request, in the newest appraisal that is stored, and in a simulation.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type TestEvent, testEvent, uefiBoot, uefiVariable } from '@edgekeep/core/attest/testing';
import { loadPolicy } from '@edgekeep/core/policy/policy';
import { testKeyDevice, testReferences } from '../attest/testing-device.ts';
import { recordAppraisal } from '../attest/appraiser.ts';
import { refusalOf } from '../common/testing-refusal.ts';
import { signDocument } from '../publisher/testing-publisher.ts';
import { addDevices } from '../registry/testing-device.ts';
import { getDevice } from '../registry/states.ts';
import { deviceQuestion } from './context.ts';
import { factsOf } from './facts.ts';
import { simulate } from './simulate.ts';
import { ask, by, nowMs, openReleaseHub, press, type ReleaseHub } from './testing-release.ts';

const keys = (condition: string) =>
  `@id("keys") permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { context.attestation.status == "affirming" && ${condition} };`;
const secureBoot = 'context.attestation has secureBoot && context.attestation.secureBoot.on';
const bootOff = uefiBoot.map((event): TestEvent => {
  const isSecureBoot =
    event.pcr === 7 && event.eventType === 0x80000001 && Buffer.from(event.event).includes('S\0e\0c');
  return isSecureBoot ? testEvent(7, 0x80000001, uefiVariable('SecureBoot', Uint8Array.of(0))) : event;
});

async function publish(hub: ReleaseHub, version: string, events: readonly TestEvent[]): Promise<void> {
  const document = testReferences(version, events);
  await hub.references.publish({ document, signature: await signDocument(document), ...by });
}

/** As the policy sees the device without evidence. */
async function storedFacts({ database }: ReleaseHub, deviceId: string) {
  const facts = await factsOf(database.read, [await getDevice(database.read, deviceId)], {
    wanted: 'all',
    filterGroups: new Set(),
    nowMs,
  });
  const own = facts.get(deviceId) ?? assert.fail();
  const presence = { elsewhere: false, connections: 1 };
  const traffic = { lastMinute: 1, percentOfUsual: 100 };
  const environment = { address: '192.0.2.1', country: undefined, presence, traffic, appraisal: undefined, nowMs };
  const { context } = deviceQuestion('connect', own, { kind: 'hub' }, environment);
  assert.ok('attestation' in context);
  return context.attestation;
}

test('a policy says "Secure Boot on" and not a digest: a device whose boot is accepted and has it off gets no key', async () => {
  await using hub = await openReleaseHub();
  await publish(hub, '1.1.0', bootOff);
  await ask(hub, { boot: { events: bootOff } });
  await hub.policies.apply({ text: keys(secureBoot), ...by });
  await ask(hub);
  const refused = 'release-refused: policy-permits-not';
  assert.equal(await refusalOf(ask(hub, { boot: { events: bootOff } })), refused);
  // Off is a fact, absent is none: a policy that permits by "not on" has to ask for the fact, too.
  const off = 'context.attestation has secureBoot && !context.attestation.secureBoot.on';
  await hub.policies.apply({ text: keys(off), ...by });
  await ask(hub, { boot: { events: bootOff } });
});

test('a policy names the release, by its name and version, and the digest of the PCRs', async () => {
  await using hub = await openReleaseHub();
  const release = (version: string) =>
    `context.attestation has release && context.attestation has releaseName && context.attestation.releaseName == "line" && context.attestation.release == "${version}"`;
  await hub.policies.apply({ text: keys(release('1.0.0')), ...by });
  await ask(hub);
  await hub.policies.apply({ text: keys(release('1.0.1')), ...by });
  assert.equal(await refusalOf(ask(hub)), 'release-refused: policy-permits-not');
  const { pcrDigest = '' } = await storedFacts(hub, press.id);
  assert.match(pcrDigest, /^[0-9a-f]{64}$/);
  const digest = 'context.attestation has pcrDigest && context.attestation.pcrDigest';
  await hub.policies.apply({ text: keys(`${digest} == "${pcrDigest}"`), ...by });
  await ask(hub);
});

test('the newest appraisal is kept with what was measured, for connections; one of the version before has none of it', async () => {
  await using hub = await openReleaseHub();
  await ask(hub);
  const { release, releaseName, secureBoot: state } = await storedFacts(hub, press.id);
  assert.deepEqual([release, releaseName, state?.on], ['1.0.0', 'line', true]);
  const appraisal = JSON.stringify({ status: 'affirming', reasons: [], vector: { 'instance-identity': 2 } });
  await hub.database.write((trx) => trx.updateTable('device').set({ appraisal }).execute());
  const before = await storedFacts(hub, press.id);
  assert.deepEqual(
    [before.status, before.release, before.pcrDigest, before.secureBoot],
    ['affirming', undefined, undefined, undefined],
  );
});

test('what software states of a boot is nothing measured', async () => {
  await using hub = await openReleaseHub();
  const software = testKeyDevice('soft-1', 1);
  await addDevices(hub.database, software.row);
  const qualifyingData = new Uint8Array(32).fill(1);
  const expected = { qualifyingData, nonce: qualifyingData, nowMs };
  const { appraisal } = await hub.parts.appraiser.appraise(
    software.row,
    software.evidence({ qualifyingData }),
    expected,
  );
  assert.deepEqual([appraisal.status, appraisal.release, appraisal.measured], ['warning', undefined, undefined]);
  await hub.database.write((trx) => recordAppraisal(trx, software.id, appraisal, nowMs));
  const { release, pcrDigest, secureBoot: state } = await storedFacts(hub, software.id);
  assert.deepEqual([release, pcrDigest, state], [undefined, undefined, undefined]);
});

test('a simulation shows which devices a policy about Secure Boot would refuse', async () => {
  await using hub = await openReleaseHub();
  await publish(hub, '1.1.0', bootOff);
  await ask(hub, { boot: { events: bootOff } });
  const loaded = loadPolicy(keys(secureBoot), { name: 'draft' });
  assert.ok(loaded.kind === 'loaded');
  using draft = loaded.policy;
  const order = { last: 0, fleet: true, names: 10, nowMs };
  const { fleet } = await simulate(hub, hub.parts.gate, draft, order);
  const losses = fleet.changes.filter(({ action, change }) => action === 'releaseKey' && change === 'loses');
  assert.deepEqual(
    losses.flatMap(({ names }) => names),
    ['device:press-1'],
  );
});
