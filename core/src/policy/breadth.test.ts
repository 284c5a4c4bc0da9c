// Finds what a policy gives to every device, and reports it for no other policy.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keysForEveryDevice } from './breadth.ts';
import { defaultPolicyText, everyAttestedTpmPolicyText } from './built-in.ts';
import { loadPolicy, type Policy } from './policy.ts';
import { type Question, questionSchema } from './question.ts';

function load(text: string): Policy {
  const loaded = loadPolicy(text, { name: 'policy 7' });
  if (loaded.kind === 'refused') assert.fail(JSON.stringify(loaded.faults));
  return loaded.policy;
}

const ask = (groups: readonly string[], modelGroups: readonly string[], tier = 'tpm'): Question =>
  questionSchema.parse({
    action: 'releaseKey',
    principal: { kind: 'device', id: 'press-7', tier, groups },
    resource: { kind: 'model', name: 'surface', version: '1.0.0', groups: modelGroups },
    context: { attestation: { tier } },
  });

test('the default policy gives a key to devices in a group that the model is for, and to no other', () => {
  using policy = load(defaultPolicyText);
  assert.equal(policy.decide(ask(['presses'], ['presses', 'mills'])).kind, 'permitted');
  for (const [groups, modelGroups] of [
    [[], []],
    [['presses'], []],
    [[], ['presses']],
    [['presses'], ['mills']],
  ] as const) {
    assert.equal(policy.decide(ask(groups, modelGroups)).kind, 'refused', JSON.stringify([groups, modelGroups]));
  }
  assert.equal(policy.decide(ask(['presses'], ['presses'], 'software')).kind, 'refused');
});

test('a refusal names both groups, of the device and of the model', () => {
  using policy = load(defaultPolicyText);
  const refused = policy.decide(ask(['mills'], ['presses']));
  assert.ok(refused.kind === 'refused');
  assert.match(
    refused.reasons[0]?.message ?? '',
    /its statement attested-tpm would if principal in resource\.groups \(principal is .*press-7.* in \["mills"\], resource\.groups is \["presses"\]\)/,
  );
});

test('a policy that gives every model to every attested TPM says so, and one that asks for groups, tags or names does not', () => {
  using every = load(everyAttestedTpmPolicyText);
  assert.deepEqual(keysForEveryDevice(every), ['attested-tpm']);
  const narrowed = (condition: string) =>
    everyAttestedTpmPolicyText.replace('context.attestation.tier ==', `${condition} && context.attestation.tier ==`);
  for (const text of [
    defaultPolicyText,
    narrowed('resource.name == "surface"'),
    narrowed('principal in Edgekeep::Group::"presses"'),
    narrowed('principal.hasTag("line") && principal.getTag("line") == "press"'),
  ]) {
    using policy = load(text);
    assert.deepEqual(keysForEveryDevice(policy), [], text);
  }
});
