// What a device says of itself opens no key and gives no certificate: it reports itself into the group that a policy or a declaration asks for.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { checkHub } from '@edgekeep/hub/commands/check/check';
import { alertList } from '@edgekeep/wire/api/alert';
import { policyView, simulation } from '@edgekeep/wire/api/policy';
import { groupView } from '@edgekeep/wire/api/registry';
import { declarationView } from '@edgekeep/wire/api/workload';
import { assertRefused } from '../support/answer.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { adoptStore } from '../support/edited-store.ts';
import { inStore } from '../support/outside-store.ts';

let fleet: SoftwareWorld;
before(async () => {
  fleet = await SoftwareWorld.open();
  const { world } = fleet;
  await world.publishModel('surface', '1.0.0', 'weights');
  const filter = 'reported.updates.rebootRequired==false;reported.firmware==1.4.7';
  const group = await world.operator.send('POST', '/v1/groups', { name: 'patched', filter }, groupView);
  assert.deepEqual(group.claims, ['reported.updates.rebootRequired', 'reported.firmware']);
});
after(() => fleet?.[Symbol.asyncDispose]());

const attested = 'context.attestation.instanceIdentity == 2';
const keysFor = (type: string, annotation = '') =>
  `@id("patched-only") ${annotation} permit (principal in Edgekeep::${type}::"patched", action == Edgekeep::Action::"releaseKey", resource) when { ${attested} };`;
async function send(method: string, path: string, body: object) {
  const { world } = fleet;
  return world.askOperator(method, path, { token: await world.adminToken(), body: JSON.stringify(body) });
}
const claim = async () => {
  const attributes = { firmware: '1.4.7', updates: { rebootRequired: false } };
  const { status } = await fleet.link.ask('POST', '/v1/reports', { attributes, desiredVersion: 0 });
  assert.equal(status, 200);
};
const key = () => fleet.device.askForKey(fleet.link, 'surface', '1.0.0');

// SECURITY.md: HUB-64
test('a policy that gives keys to a group that devices report themselves into is refused, in either name of the group', async () => {
  for (const type of ['Group', 'ClaimGroup'])
    assertRefused(await send('PUT', '/v1/policy', { text: keysFor(type) }), {
      status: 422,
      code: 'policy-refused',
      reason: 'policy-rests-on-claims',
    });
  assertRefused(await send('POST', '/v1/policy/simulate', { text: keysFor('ClaimGroup') }), {
    status: 422,
    code: 'policy-refused',
    reason: 'policy-rests-on-claims',
  });
});

// SECURITY.md: HUB-64
test('a policy that names the claim is taken, and the simulation and the hub say what it rests on', async () => {
  const text = keysFor('ClaimGroup', '@claims("patched")');
  const draft = await fleet.world.operator.send('POST', '/v1/policy/simulate', { text }, simulation);
  const claims = [{ statement: 'patched-only', claims: ['patched'], actions: ['releaseKey'], named: true }];
  assert.deepEqual(draft.claims, claims);
  await fleet.world.operator.send('PUT', '/v1/policy', { text }, policyView);
  assert.deepEqual((await fleet.world.operator.get('/v1/policy', policyView)).claims, claims);
  assertRefused(await key(), { status: 403, code: 'release-refused' });
  await claim();
  assert.equal((await key()).status, 200);
});

// SECURITY.md: HUB-64
test('a workload is declared for no group that devices report themselves into', async () => {
  const order = { name: 'payments', group: 'patched', description: '' };
  assertRefused(await send('POST', '/v1/workloads', order), { status: 409, code: 'conflict', says: /devices report/ });
  const declared = await fleet.world.operator.send(
    'POST',
    '/v1/workloads',
    { name: 'payments', device: 'software', description: '' },
    declarationView,
  );
  assert.equal(declared.device, 'software');
});

// SECURITY.md: HUB-64
test('a policy of the version before, by the same group, keeps the hub starting and gives no key by it', async () => {
  const { world } = fleet;
  await world.stop();
  const former = `insert into policy (version, digest, text, applied_at, meaning, tests, applied_by) values (9, '', ?, 1, 'any-action', null, 'x')`;
  await inStore(world.place, (store) => store.run(former, keysFor('Group')));
  await adoptStore(world);
  await world.start();
  await fleet.reconnect();
  await claim();
  const answer = await key();
  assertRefused(answer, { status: 403, code: 'release-refused', says: /rests on patched/ });
  const { alerts } = await world.operator.get('/v1/alerts?kind=policy-rests-on-claims', alertList);
  assert.equal(alerts.length, 1);
  const findings = await checkHub(world.hubFolder, world.clock.now());
  const claims = findings.find(({ subject }) => subject === 'claims');
  assert.match(`${claims?.state} ${claims?.found}`, /^failed policy 9 rests on .*patched-only \(patched\)/);
});
