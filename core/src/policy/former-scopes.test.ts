import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyAttestedTpmPolicyText } from './built-in.ts';
import { withPresentScopes } from './former-scopes.ts';
import { loadPolicy } from './policy.ts';
import { questionSchema } from './question.ts';
import { parsePolicyTests } from './test-file.ts';

const ask = (scope: string, scopes: readonly string[] = []) =>
  questionSchema.parse({ action: 'administer', principal: { kind: 'token', id: 'ci', scopes }, context: { scope } });

function decide(condition: string, scope: string, scopes?: readonly string[]): string {
  const text = `${everyAttestedTpmPolicyText}forbid (principal, action == Edgekeep::Action::"administer", resource) when { ${condition} };`;
  const loaded = loadPolicy(text, { name: 'test' });
  assert.ok(loaded.kind === 'loaded', JSON.stringify(loaded));
  using policy = loaded.policy;
  assert.equal(policy.text, text);
  return policy.decide(ask(scope, scopes)).kind;
}

test('a statement that forbids by the former name of a scope goes on forbidding', () => {
  for (const condition of [
    'context.scope == "enrolment:write"',
    'context.scope like "enrolment:*"',
    'context.scope like "enrolment*"',
    '["admin", "enrolment:write"].contains(context.scope)',
  ]) {
    assert.equal(decide(condition, 'enrollment:write'), 'refused', condition);
    assert.equal(decide(condition, 'enrolment:write'), 'refused', condition);
    assert.equal(decide(condition, 'devices:read'), 'permitted', condition);
  }
  assert.equal(decide('principal.scopes.contains("enrolment:write")', 'any', ['enrollment:write']), 'refused');
});

test('a question that was kept or written with the former name is asked with the present one', () => {
  assert.equal(decide('context.scope == "enrollment:write"', 'enrolment:write'), 'refused');
  assert.equal(decide('principal.scopes.contains("enrollment:write")', 'any', ['enrolment:write']), 'refused');
  const { tests } = parsePolicyTests(
    Buffer.from(
      JSON.stringify({
        type: 'edgekeep-policy-tests/v1',
        tests: [{ name: 'one', question: ask('enrolment:write'), expect: 'permitted' }],
      }),
    ),
  );
  assert.equal(JSON.stringify(tests).includes('enrolment'), false);
});

test('texts of other kinds keep their words', () => {
  const text = '@id("enrolments") permit (principal, action, resource) when { principal.id == "enrolment-7" };';
  assert.equal(withPresentScopes(text), text);
});
