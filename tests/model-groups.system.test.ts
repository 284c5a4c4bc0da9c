// Which devices get a key under the first policy of a new hub: those in a group that the model is for, and no others.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { defaultPolicyText } from '@edgekeep/core/policy/built-in';
import { alertList } from '@edgekeep/wire/api/alert';
import { assignedGroups } from '@edgekeep/wire/api/model';
import { policyView, simulation } from '@edgekeep/wire/api/policy';
import { groupView, membersResponse } from '@edgekeep/wire/api/registry';
import { assertRefused } from './support/answer.ts';
import type { DeviceLink } from './support/device-link.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';

// The default policy without the conditions that a device without a TPM cannot meet: only the group is tested here.
const policyText = defaultPolicyText
  .replace('context.attestation.tier == "tpm"', 'context.attestation.instanceIdentity == 2')
  .replace('context.attestation.status == "affirming"', 'context.attestation.executables != 96');
const execute = promisify(execFile);
const program = join(import.meta.dirname, '../cli/src/main.ts');
let world: HubWorld;
let device: TestDevice;
let link: DeviceLink;

before(async () => {
  world = await HubWorld.open({ policyText, settings: { alerts: { policyGivesAllKeys: true } } });
  await world.publishModel('surface', '1.0.0', 'weights');
  device = await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1'));
  await device.enroll(world);
  link = await device.connect(world.hub);
  await createGroup('presses');
});
after(async () => {
  await link?.[Symbol.asyncDispose]();
  await device?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const createGroup = (name: string, filter?: string) =>
  world.operator.send('POST', '/v1/groups', { name, filter, description: '' }, groupView);
const members = (name: string, change: object) =>
  world.operator.send('POST', `/v1/groups/${name}/members`, { add: [], remove: [], ...change }, membersResponse);
const assign = (change: object, model = 'surface') =>
  world.operator.send('POST', `/v1/models/${model}/groups`, change, assignedGroups);
const ask = () => device.askForKey(link, 'surface', '1.0.0');

test('the command line shows a model that is there, and names one that is not', async () => {
  const show = (...words: readonly string[]) =>
    execute(process.execPath, [program, 'model', 'show', ...words, '--operator', world.operatorFile]);
  assert.match((await show('surface')).stdout, /surface 1\.0\.0 .*for groups: none/s);
  for (const words of [['surfaces'], ['surface', '2.0.0']]) {
    const unknown = {
      code: 3,
      stderr: /not-found: no (model surfaces|release surface 2\.0\.0): `edgekeep model list`/,
    };
    await assert.rejects(show(...words), unknown);
  }
});

// SECURITY.md: HUB-50
test('a device gets the key exactly while it is in a group that the model is for, and the refusal names the groups', async () => {
  const reason = (says: RegExp) => ({
    status: 403,
    code: 'release-refused',
    reason: 'policy-permits-not',
    says,
  });
  assertRefused(await ask(), reason(/principal in resource\.groups .*resource\.groups is \[\]/));
  await assign({ add: ['presses'] });
  assertRefused(await ask(), reason(/resource\.groups is \["presses"\]/));
  await members('presses', { add: ['press-1'] });
  assert.equal((await ask()).status, 200);
  await members('presses', { remove: ['press-1'] });
  assertRefused(await ask(), reason(/principal in resource\.groups/));
  await members('presses', { add: ['press-1'] });
  await assign({ remove: ['presses'] });
  assertRefused(await ask(), reason(/resource\.groups is \[\]/));
});

// SECURITY.md: HUB-50
test('a group by what the hub decided counts, one by what devices say of themselves is refused', async () => {
  await createGroup('no-tpm', 'tier==software');
  await assign({ add: ['no-tpm'] });
  assert.equal((await ask()).status, 200);
  await assign({ remove: ['no-tpm'] });
  for (const [name, filter] of [
    ['claimed', 'reported.zone==red'],
    ['claimed-too', 'tier==software,(site==graz;reported.zone==red)'],
    ['heard-of', 'seenAt>-1h'],
    ['holders', 'holds==surface'],
  ] as const) {
    await createGroup(name, filter);
    const body = JSON.stringify({ add: [name] });
    const answer = await world.askOperator('POST', '/v1/models/surface/groups', {
      token: await world.adminToken(),
      body,
    });
    assertRefused(answer, { status: 409, code: 'conflict' });
  }
  assert.deepEqual((await assign({ remove: ['no-tpm'] })).groups, []);
});

test('it takes the scope of policies, is logged, and keeps the group from being deleted', async () => {
  const token = await world.apiToken(['models:publish', 'devices:write']);
  const body = JSON.stringify({ add: ['presses'] });
  const answer = await world.askOperator('POST', '/v1/models/surface/groups', { token, body });
  assertRefused(answer, { status: 403, code: 'scope-missing' });
  await assign({ add: ['presses'] });
  const { data, subject } = (await world.entries('model-assigned')).at(-1) ?? {};
  assert.deepEqual([subject, data], ['model:surface', { added: ['presses'], removed: [], groups: 1 }]);
  const removed = await world.askOperator('DELETE', '/v1/groups/presses', { token });
  assertRefused(removed, { status: 409, code: 'conflict' });
  assertRefused(
    await world.askOperator('POST', '/v1/models/surface/groups', {
      token: await world.adminToken(),
      body: JSON.stringify({ add: ['nowhere'] }),
    }),
    {
      status: 404,
      code: 'not-found',
    },
  );
});

test('simulate says who would lose keys by groups, and a policy that gives all keys to all is an alert until another is applied', async () => {
  const standing = async () =>
    (await world.operator.get('/v1/alerts?kind=policy-gives-all-keys&state=any', alertList)).alerts;
  assert.deepEqual(await standing(), []);
  const every = policyText.replace('principal in resource.groups &&', '');
  const apply = (text: string) => world.operator.send('PUT', '/v1/policy', { text }, policyView);
  await apply(every);
  assert.equal((await standing())[0]?.state, 'open');
  const view = await world.operator.get('/v1/policy', policyView);
  assert.deepEqual(view.keysForEveryDevice, ['attested-tpm']);
  await members('presses', { remove: ['press-1'] });
  await assign({ add: ['presses'] });
  const draft = { text: policyText, last: 0, fleet: true };
  const losing = await world.operator.send('POST', '/v1/policy/simulate', draft, simulation);
  assert.deepEqual(
    losing.fleet.changes.map(({ change, action, names }) => [change, action, names]),
    [['loses', 'releaseKey', ['device:press-1']]],
  );
  await members('presses', { add: ['press-1'] });
  assert.deepEqual((await world.operator.send('POST', '/v1/policy/simulate', draft, simulation)).fleet.changes, []);
  await apply(policyText);
  assert.equal((await standing())[0]?.state, 'closed');
  assert.equal((await ask()).status, 200);
});
