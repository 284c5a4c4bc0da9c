import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { everyAttestedTpmPolicyText } from './built-in.ts';
import { differencesOf } from './differences.ts';
import { metresBetween } from './distance.ts';
import { wallTime } from './local-time.ts';
import { loadPolicy, type Policy } from './policy.ts';
import { failedTests, parsePolicyTests } from './test-file.ts';

function load(text: string): Policy {
  const loaded = loadPolicy(text, { name: 'draft' });
  assert.ok(loaded.kind === 'loaded');
  return loaded.policy;
}

const key = {
  action: 'releaseKey',
  principal: { kind: 'device', id: 'press-1' },
  resource: { kind: 'model', name: 'inspect', version: '1.0.0' },
};
const file = (tests: readonly object[]) =>
  parsePolicyTests(utf8(JSON.stringify({ type: 'edgekeep-policy-tests/v1', tests })));

test('a test file says what a policy has to decide and by which statement, and each failure says what it did instead', () => {
  const software = { ...key, context: { attestation: { tier: 'software' } } };
  const tests = file([
    { name: 'yes', question: key, expect: 'permitted', by: ['attested-tpm'] },
    { name: 'no', question: software, expect: 'refused' },
    { name: 'wrong', question: software, expect: 'permitted' },
    { name: 'by another', question: key, expect: 'permitted', by: ['somebody'] },
  ]);
  const failed = failedTests(load(everyAttestedTpmPolicyText), tests);
  assert.deepEqual(
    failed.map(({ name }) => name),
    ['wrong', 'by another'],
  );
  assert.match(failed[0]?.message ?? '', /expected permitted, it is refused: .*tier == "tpm" \(it is "software"\)/);
  assert.match(failed[1]?.message ?? '', /by somebody, it is permitted by attested-tpm/);
});

test('a test whose question makes the policy err fails, with every expectation', () => {
  const policy = load(
    `${everyAttestedTpmPolicyText}@id("sum") forbid (principal, action == Edgekeep::Action::"connect", resource) when { context.traffic.lastMinute * 9007199254740991 > 3 };`,
  );
  const question = { action: 'connect', principal: key.principal, context: { traffic: { lastMinute: 5_000 } } };
  assert.match(
    failedTests(policy, file([{ name: 'x', question, expect: 'refused' }]))[0]?.message ?? '',
    /could not be evaluated/,
  );
});

test('a test file with an unknown member, action, kind or value is refused', () => {
  for (const question of [
    { ...key, colour: 'red' },
    { ...key, action: 'fly' },
    { ...key, principal: { kind: 'token', id: 'x' } },
    { ...key, resource: { kind: 'hub' } },
    { ...key, context: { network: { ip: '10.0.0.0/8' } } },
    { ...key, context: { claimedLocation: { latitude: 'NaN', longitude: '1.0' } } },
    { ...key, context: { claimedLocation: { latitude: 47, longitude: 15 } } },
    { ...key, context: { time: { hour: 24 } } },
    { ...key, context: { zone: '3' } },
    { action: 'administer', principal: key.principal, context: { scope: 'admin' } },
  ]) {
    assert.throws(() => file([{ name: 'x', question, expect: 'refused' }]), CoreError, JSON.stringify(question));
  }
  assert.throws(() => file([]), CoreError);
});

test('differences are by name and meaning: order, comments and white space make none', () => {
  const spaced = `// note\n${everyAttestedTpmPolicyText.replaceAll('\n', '\n  ')}`;
  assert.deepEqual(differencesOf(load(everyAttestedTpmPolicyText).statements, load(spaced).statements), {
    added: [],
    removed: [],
    changed: [],
    same: 1,
  });
  const draft = `@id("stop") forbid (principal, action, resource) when { context.network.atSite };\n${everyAttestedTpmPolicyText.replace('"tpm"', '"dice"')}`;
  const { added, changed, removed, same } = differencesOf(
    load(everyAttestedTpmPolicyText).statements,
    load(draft).statements,
  );
  assert.deepEqual(
    [added.map(({ id }) => id), changed.map(({ id }) => id), removed, same],
    [['stop'], ['attested-tpm'], [], 0],
  );
});

test('the wall clock of a site jumps with its summer time', () => {
  const vienna = (text: string) => wallTime(Date.parse(text), 'Europe/Vienna');
  assert.deepEqual(vienna('2026-03-29T00:59:00Z'), { hour: 1, minute: 59, weekday: 7 });
  assert.deepEqual(vienna('2026-03-29T01:00:00Z'), { hour: 3, minute: 0, weekday: 7 });
  assert.deepEqual(vienna('2026-10-25T00:30:00Z'), { hour: 2, minute: 30, weekday: 7 });
  assert.deepEqual(vienna('2026-10-25T01:30:00Z'), { hour: 2, minute: 30, weekday: 7 });
  assert.deepEqual(vienna('2026-11-22T23:30:00Z'), { hour: 0, minute: 30, weekday: 1 });
  assert.deepEqual(wallTime(Date.parse('2026-11-22T23:30:00Z'), 'UTC'), { hour: 23, minute: 30, weekday: 7 });
});

test('distances are those on the globe, across the date line and at the poles too', () => {
  const graz = { latitude: 47.0707, longitude: 15.4395 };
  const vienna = { latitude: 48.2082, longitude: 16.3738 };
  assert.equal(metresBetween(graz, graz), 0);
  assert.ok(Math.abs(metresBetween(graz, vienna) - 144_600) < 1_000, String(metresBetween(graz, vienna)));
  const acrossDateLine = metresBetween({ latitude: 0, longitude: 179.5 }, { latitude: 0, longitude: -179.5 });
  assert.ok(Math.abs(acrossDateLine - 111_195) < 200, String(acrossDateLine));
  assert.equal(metresBetween({ latitude: 90, longitude: 0 }, { latitude: 90, longitude: 123 }), 0);
});
