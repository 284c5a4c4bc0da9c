import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultPolicyText, loadPolicy, type ReleaseQuestion } from './policy.ts';

const healthy: ReleaseQuestion = {
  device: { id: 'press-1', tier: 'tpm', state: 'active' },
  model: { name: 'inspect', version: '1.0.0', publisher: 'ab' },
  attestation: { status: 'affirming', tier: 'tpm', instanceIdentity: 2, configuration: 2, executables: 2, hardware: 2 },
};
const permit = (condition: string) =>
  `permit (principal is Edgekeep::Device, action == Edgekeep::Action::"releaseKey", resource is Edgekeep::Model) ${condition};`;

function codesOf(text: string): readonly string[] {
  try {
    loadPolicy(text);
    return [];
  } catch (error) {
    assert.ok(error instanceof Error && 'reasons' in error && Array.isArray(error.reasons));
    return error.reasons.map((reason: { code: string }) => reason.code);
  }
}

test('the default policy permits an affirmed TPM and names the policy', () => {
  assert.deepEqual(loadPolicy(defaultPolicyText).decide(healthy), { kind: 'permitted', policies: ['attested-tpm'] });
});

test('the default policy refuses a software root of trust and a warning', () => {
  const policy = loadPolicy(defaultPolicyText);
  for (const change of [{ tier: 'software' }, { status: 'warning' }, { status: 'contraindicated' }]) {
    const decision = policy.decide({ ...healthy, attestation: { ...healthy.attestation, ...change } });
    assert.equal(decision.kind, 'refused');
  }
});

test('a forbid wins over a permit and is named', () => {
  const policy = loadPolicy(
    `${defaultPolicyText} @id("stop-1") forbid (principal == Edgekeep::Device::"press-1", action, resource);`,
  );
  const decision = policy.decide(healthy);
  assert.ok(decision.kind === 'refused' && decision.reasons[0]?.message.includes('stop-1'));
});

test('a policy that constrains nothing is refused at load', () => {
  assert.deepEqual(codesOf('permit (principal, action, resource);'), ['policy-constrains-nothing']);
  assert.deepEqual(codesOf(permit('')), ['policy-constrains-nothing']);
  assert.deepEqual(codesOf(permit('when { principal.tier == "tpm" }')), ['policy-constrains-nothing']);
});

test('a policy with a condition that any attestation meets is refused at load', () => {
  assert.deepEqual(codesOf(permit('when { context.attestation.status != "" }')), ['policy-constrains-nothing']);
  assert.deepEqual(codesOf(permit('when { context.attestation.hardware >= 0 }')), ['policy-constrains-nothing']);
  const two = 'when { resource.name == "inspect" && resource.publisher == "ab" && context.attestation.hardware >= 0 }';
  assert.deepEqual(codesOf(permit(two)), ['policy-constrains-nothing']);
});

test('a policy without a permit, with a wrong attribute or with broken syntax is refused at load', () => {
  assert.deepEqual(codesOf('forbid (principal, action, resource);'), ['policy-permits-nothing']);
  assert.deepEqual(codesOf(permit('when { context.attestation.colour == "red" }')), ['policy-invalid']);
  assert.deepEqual(codesOf('permit ('), ['policy-syntax']);
});
