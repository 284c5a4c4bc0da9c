import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyToJson } from '@cedar-policy/cedar-wasm/nodejs';
import { looksAtDeviceId, rememberDecisions } from './decision-cache.ts';
import { loadPolicy, type ReleaseQuestion } from './policy.ts';

const question: ReleaseQuestion = {
  device: { id: 'press-1', tier: 'tpm', state: 'active' },
  model: { name: 'surface', version: '1.0.0', publisher: 'p' },
  attestation: {
    status: 'affirming',
    tier: 'tpm',
    instanceIdentity: 2,
    configuration: 2,
    executables: 2,
    hardware: 2,
  },
};
const from = (id: string): ReleaseQuestion => ({ ...question, device: { ...question.device, id } });

function json(text: string) {
  const answer = policyToJson(text);
  assert.equal(answer.type, 'success');
  return answer.json;
}

const scope = (principal: string) => `permit (${principal}, action == Edgekeep::Action::"releaseKey", resource)`;
const healthy = 'when { context.attestation.status == "affirming" }';

test('a policy that reads only attributes of the device is answered once for the whole fleet', () => {
  const policy = json(
    `${scope('principal is Edgekeep::Device')} when { principal.tier == "tpm" && principal.state == "active" };`,
  );
  assert.equal(looksAtDeviceId(policy), false);
  let asked = 0;
  const decide = rememberDecisions({
    statements: [policy],
    decide: () => {
      asked += 1;
      return { kind: 'permitted', policies: [] };
    },
  });
  for (const id of ['press-1', 'press-2', 'press-1']) decide(from(id));
  assert.equal(asked, 1);
});

const naming: Readonly<Record<string, string>> = {
  'the device in its scope': `${scope('principal == Edgekeep::Device::"press-1"')} ${healthy};`,
  'a group in its scope': `${scope('principal in Edgekeep::Device::"line"')} ${healthy};`,
  'a group of a type in its scope': `${scope('principal is Edgekeep::Device in Edgekeep::Device::"line"')} ${healthy};`,
  'the device in a condition': `${scope('principal')} when { principal == Edgekeep::Device::"press-1" };`,
  'the device in an unless': `${scope('principal')} ${healthy} unless { Edgekeep::Device::"press-1" == principal };`,
  'the device inside a set': `${scope('principal')} when { [Edgekeep::Device::"press-1"].contains(principal) };`,
  'an attribute of a named device': `${scope('principal')} when { Edgekeep::Device::"press-1".state == "active" };`,
  'the device by comparing it with the resource': `${scope('principal')} when { principal == resource };`,
};
for (const [what, text] of Object.entries(naming)) {
  test(`a policy that names ${what} is asked for each device`, () => {
    assert.equal(looksAtDeviceId(json(text)), true);
  });
}

test('a device that the policy forbids by name is refused after another one was permitted', () => {
  const decide = rememberDecisions(
    loadPolicy(
      `permit (principal, action, resource) ${healthy};\nforbid (principal == Edgekeep::Device::"press-2", action, resource);`,
    ),
  );
  assert.equal(decide(from('press-1')).kind, 'permitted');
  assert.equal(decide(from('press-2')).kind, 'refused');
  assert.equal(decide(from('press-1')).kind, 'permitted');
});

test('every fact of the attestation counts, and a new policy does not answer with the decisions of the last', () => {
  const decide = rememberDecisions(loadPolicy(`permit (principal, action, resource) ${healthy};`));
  assert.equal(decide(question).kind, 'permitted');
  const worse = { ...question, attestation: { ...question.attestation, status: 'warning' } };
  assert.equal(decide(worse).kind, 'refused');
  const next = rememberDecisions(
    loadPolicy(`permit (principal, action, resource) ${healthy.replace('affirming', 'warning')};`),
  );
  assert.equal(next(question).kind, 'refused');
  assert.equal(next(worse).kind, 'permitted');
});
