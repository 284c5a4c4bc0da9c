// A key is asked for at one node, and what it rests on is changed at the other between the decision and the act. No poll decides this: the transaction
// that acts asks the store.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { AccessGate, type DeviceAsk } from '@edgekeep/hub/access/gate';
import { policyView } from '@edgekeep/wire/api/policy';
import { revocationResponse } from '@edgekeep/wire/api/revocation';
import type { HubWorld } from '../support/hub-world.ts';
import { firstPerson } from '../support/people.ts';
import { TestDevice } from '../support/test-device.ts';
import { nodesTest, TwoNodes } from '../support/two-nodes.ts';

let nodes: TwoNodes;
const opened = new AsyncDisposableStack();
before(async () => {
  if (nodesTest.skip !== false) return;
  nodes = opened.use(await TwoNodes.open());
  const { a } = nodes;
  await order(a, 'POST', '/v1/groups', { name: 'others', description: '' });
});
after(() => opened.disposeAsync());

async function order(at: HubWorld, method: string, path: string, body: object): Promise<void> {
  const answer = await (await firstPerson(at)).ask(method, path, body);
  assert.equal(answer.status, 200, `${method} ${path}: ${Buffer.from(answer.body).toString()}`);
}

/** Runs after the policy has answered the next question about a key, and before that node continues. */
function onceDecided(t: TestContext, act: (decision: string) => Promise<void>): void {
  const watched = t.mock.method(AccessGate.prototype, 'judge', async function (this: AccessGate, ask: DeviceAsk) {
    watched.mock.restore();
    const judgement = await this.judge(ask);
    if (ask.action === 'releaseKey') await act(judgement.decision.kind);
    else onceDecided(t, act);
    return judgement;
  });
}

const attested = 'context.attestation.instanceIdentity == 2 && context.attestation.executables != 96';
const permit = (when: string) =>
  `@id("keys") permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { ${attested} && ${when} };`;
const tagged = permit('principal.hasTag("line") && principal.getTag("line") == "press"');
const inOther = permit('principal in Edgekeep::Group::"others"');

interface Change {
  readonly name: string;
  readonly make: (at: HubWorld, deviceId: string, model: string) => Promise<unknown>;
}

const changes: readonly Change[] = [
  { name: 'the device is quarantined', make: (at, id) => at.setState(id, 'quarantine') },
  {
    name: 'its certificates are revoked',
    make: (at, id) => {
      const revoked = { devices: [id], reason: 'keyCompromise', note: 'a test' };
      return at.operator.send('POST', '/v1/certificates/revoke', revoked, revocationResponse);
    },
  },
  {
    name: 'the device loses the tag that the policy asks for',
    make: (at, id) => order(at, 'POST', `/v1/devices/${id}/tags`, { remove: ['line'] }),
  },
  {
    name: 'another policy is applied',
    make: (at) => at.operator.send('PUT', '/v1/policy', { text: inOther }, policyView),
  },
  {
    name: 'the release is withdrawn',
    make: (at, _id, model) => order(at, 'POST', `/v1/models/${model}/1.0.0/withdraw`, { reason: 'a test' }),
  },
  {
    name: 'the device is disabled',
    make: (at, id) => order(at, 'POST', `/v1/devices/${id}/disable`, { reason: 'a test' }),
  },
];

for (const [at, { name, make }] of changes.entries()) {
  // SECURITY.md: HUB-136
  test(`no key leaves one node after this was done at the other: ${name}`, nodesTest, async (t) => {
    const { a, b } = nodes;
    const [id, model] = [`press-${at}`, `belt-${at}`];
    await a.operator.send('PUT', '/v1/policy', { text: tagged }, policyView);
    await a.publishModel(model, '1.0.0', 'weights');
    await using device = await TestDevice.withoutTpm(id, join(a.folder, id));
    await device.enroll(a);
    await order(a, 'POST', `/v1/devices/${id}/tags`, { set: { line: 'press' } });
    await using link = await device.connect(a.hub);
    await device.release(link, model, '1.0.0');
    const judged: string[] = [];
    onceDecided(t, async (decision) => {
      judged.push(decision);
      await make(b, id, model);
    });
    const status = await device.askForKey(link, model, '1.0.0').then(
      (answer) => answer.status,
      () => 'cut off',
    );
    assert.notEqual(status, 200);
    assert.deepEqual(judged, ['permitted']);
    const released = (await b.entries('key-released')).filter(({ subject }) => subject === `device:${id}`);
    assert.equal(released.length, 1);
  });
}
