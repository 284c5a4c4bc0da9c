// A key, or a certificate of a workload, is recorded on the facts that are true at that moment: if facts change after the policy was asked,
// it is asked again.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { toBase64url } from '@edgekeep/core/bytes';
import { AccessGate, type DeviceAsk } from '@edgekeep/hub/access/gate';
import { assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { firstPerson, type TestPerson } from './support/people.ts';
import { policyForAnyTier } from './support/software-world.ts';
import { newOperationalKey, TestDevice } from './support/test-device.ts';

const attested = 'context.attestation.instanceIdentity == 2';
const policyThat = (looks: string) =>
  `@id("test") permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { ${attested} && ${looks} };`;

interface Fact {
  readonly name: string;
  readonly policy: string;
  /** Makes it true, and undoes it. */
  readonly orders: (made: boolean) => readonly (readonly [string, string, object])[];
  readonly prepare?: readonly (readonly [string, string, object])[];
}

const plant = { name: 'plant', networks: ['10.0.0.0/8'] };
const members = (made: boolean) => (made ? { add: ['press-1'], remove: [] } : { add: [], remove: ['press-1'] });
const tags = (made: boolean) => (made ? { set: { line: 'press' } } : { remove: ['line'] });

const facts: readonly Fact[] = [
  {
    name: 'its membership in a group',
    policy: policyThat('principal in Edgekeep::Group::"presses"'),
    prepare: [['POST', '/v1/groups', { name: 'presses', description: '' }]],
    orders: (made) => [['POST', '/v1/groups/presses/members', members(made)]],
  },
  {
    name: 'its membership in a group by filter',
    policy: policyThat('principal in Edgekeep::Group::"presses"'),
    prepare: [['POST', '/v1/groups', { name: 'presses', description: '', filter: 'tags.line==press' }]],
    orders: (made) => [['POST', '/v1/devices/press-1/tags', tags(made)]],
  },
  {
    name: 'its tag',
    policy: policyThat('principal.hasTag("line") && principal.getTag("line") == "press"'),
    orders: (made) => [['POST', '/v1/devices/press-1/tags', tags(made)]],
  },
  {
    name: 'its site',
    policy: policyThat('principal in Edgekeep::Site::"plant"'),
    prepare: [['POST', '/v1/sites', plant]],
    orders: (made) => [['POST', '/v1/sites/plant/devices', members(made)]],
  },
  {
    name: 'the networks of its site',
    policy: policyThat('context.network.atSite'),
    prepare: [
      ['POST', '/v1/sites', plant],
      ['POST', '/v1/sites/plant/devices', members(true)],
    ],
    orders: (made) => [['PUT', '/v1/sites/plant', { networks: [made ? '127.0.0.0/8' : '10.0.0.0/8'] }]],
  },
  {
    name: 'the country of its address',
    policy: policyThat('context.network has country && context.network.country == "AT"'),
    orders: (made) => [
      ['PUT', '/v1/countries', { networks: [{ network: '127.0.0.0/8', country: made ? 'AT' : 'CH' }] }],
    ],
  },
  {
    name: 'the groups that the model is for',
    policy: policyThat('principal in resource.groups'),
    prepare: [
      ['POST', '/v1/groups', { name: 'presses', description: '' }],
      ['POST', '/v1/groups/presses/members', members(true)],
    ],
    orders: (made) => {
      const groups = made ? { add: ['presses'], remove: [] } : { add: [], remove: ['presses'] };
      return [['POST', '/v1/models/belt/groups', groups]];
    },
  },
];

async function give(ada: TestPerson, orders: readonly (readonly [string, string, object])[]): Promise<void> {
  for (const [method, path, body] of orders) {
    const answer = await ada.ask(method, path, body);
    assert.equal(answer.status, 200, `${method} ${path}: ${Buffer.from(answer.body).toString()}`);
  }
}

/** Runs after the policy has answered the next question of this kind, and before the hub continues. */
function onceDecided(
  t: TestContext,
  act: (decision: string) => Promise<void>,
  isMeant = ({ action }: DeviceAsk) => action === 'releaseKey',
): void {
  const watched = t.mock.method(AccessGate.prototype, 'judge', async function (this: AccessGate, ask: DeviceAsk) {
    watched.mock.restore();
    const judgement = await this.judge(ask);
    if (isMeant(ask)) await act(judgement.decision.kind);
    else onceDecided(t, act, isMeant);
    return judgement;
  });
}

for (const { name, policy, orders, prepare = [] } of facts) {
  // SECURITY.md: HUB-55
  test(`a device loses ${name} after the policy was asked about its key, and gets no key`, async (t) => {
    await using opened = new AsyncDisposableStack();
    const world = opened.use(await HubWorld.open());
    await world.publishModel('belt', '1.0.0', 'weights');
    const device = opened.use(await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1')));
    await device.enroll(world);
    const ada = await firstPerson(world);
    await give(ada, [...prepare, ...orders(true), ['PUT', '/v1/policy', { text: policy }]]);
    const link = opened.use(await device.connect(world.hub));
    await device.release(link, 'belt', '1.0.0');
    const judged: string[] = [];
    onceDecided(t, async (decision) => {
      judged.push(decision);
      await give(ada, orders(false));
    });
    assertRefused(await device.askForKey(link, 'belt', '1.0.0'), { status: 403, code: 'release-refused' });
    assert.deepEqual(judged, ['permitted']);
    assert.equal((await world.entries('key-released')).length, 1);
  });
}

// SECURITY.md: HUB-55
test('a device leaves a group after the policy was asked about a workload of it, which gets no certificate', async (t) => {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await HubWorld.open());
  const device = opened.use(await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1')));
  await device.enroll(world);
  const ada = await firstPerson(world);
  const forbidden = `@id("others") forbid (principal is Edgekeep::Workload, action == Edgekeep::Action::"connect", resource)
    unless { principal in Edgekeep::Group::"presses" };`;
  await give(ada, [
    ['POST', '/v1/groups', { name: 'presses', description: '' }],
    ['POST', '/v1/groups/presses/members', members(true)],
    ['POST', '/v1/workloads', { name: 'scan', device: 'press-1' }],
    ['PUT', '/v1/policy', { text: `${policyForAnyTier}${forbidden}` }],
  ]);
  const link = opened.use(await device.connect(world.hub));
  const ask = async () => {
    const { request } = await newOperationalKey('scan');
    return link.ask('POST', '/v1/workloads/scan/certificate', { certificateRequest: toBase64url(request) });
  };
  assert.equal((await ask()).status, 200);
  const judged: string[] = [];
  onceDecided(
    t,
    async (decision) => {
      judged.push(decision);
      await give(ada, [['POST', '/v1/groups/presses/members', members(false)]]);
    },
    ({ workload }) => workload !== undefined,
  );
  assertRefused(await ask(), { status: 403, code: 'access-refused' });
  assert.deepEqual(judged, ['permitted']);
  assert.equal((await world.entries('workload-certified')).length, 1);
});

// SECURITY.md: HUB-55
test('a device reports a missing wall after the policy was asked about its key, and gets no key', async (t) => {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await HubWorld.open());
  await world.publishModel('belt', '1.0.0', 'weights');
  const device = opened.use(await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1')));
  await device.enroll(world);
  const ada = await firstPerson(world);
  await give(ada, [
    [
      'PUT',
      '/v1/policy',
      { text: `@claims("context.guard")\n${policyThat('context has guard && context.guard.missing.isEmpty()')}` },
    ],
  ]);
  const link = opened.use(await device.connect(world.hub));
  // The first connection waits for its key.
  const other = opened.use(await device.connect(world.hub));
  const counts = { inferenceTimeouts: 0, protocolViolations: 0, crashes: 0 };
  const report = async (missing: readonly string[]) => {
    const { status } = await other.ask('POST', '/v1/reports', { guard: { walls: ['landlock'], missing, ...counts } });
    assert.equal(status, 200);
  };
  await report([]);
  await device.release(link, 'belt', '1.0.0');
  const judged: string[] = [];
  onceDecided(t, async (decision) => {
    judged.push(decision);
    await report(['file-system']);
  });
  assertRefused(await device.askForKey(link, 'belt', '1.0.0'), { status: 403, code: 'release-refused' });
  assert.deepEqual(judged, ['permitted']);
  assert.equal((await world.entries('key-released')).length, 1);
});
