// Claims never decide about keys: what is refused as a draft, what becomes of a stored text, and, for every claimed fact of the table, that
// changing it changes no decision about a key or a connection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaToJson } from '@cedar-policy/cedar-wasm/nodejs';
import * as fc from 'fast-check';
import { defaultPolicyText, everyAttestedTpmPolicyText } from './built-in.ts';
import { attributeOrigins } from './origins.ts';
import { loadPolicy, type Policy, type PolicyName } from './policy.ts';
import { type Question, questionSchema } from './question.ts';
import { policySchema } from './schema.ts';

const attested = 'context.attestation.instanceIdentity == 2';
const keys = (condition: string, annotation = '') =>
  `@id("keys") ${annotation} permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { ${attested} && ${condition} };`;
const patched = 'principal in Edgekeep::ClaimGroup::"patched"';
const claimGroups = new Set(['patched', 'cool']);

function load(text: string, change: Partial<PolicyName> = {}): Policy {
  const loaded = loadPolicy(text, { name: 'policy 7', claimGroups, ...change });
  assert.ok(loaded.kind === 'loaded', JSON.stringify(loaded));
  return loaded.policy;
}
function faultsOf(text: string, change: Partial<PolicyName> = {}): readonly string[] {
  const loaded = loadPolicy(text, { name: 'draft', claimGroups, ...change });
  if (loaded.kind === 'refused') return loaded.faults.map(({ code }) => code);
  loaded.policy[Symbol.dispose]();
  return [];
}
const keyAsk = (claimed: readonly string[], decided: readonly string[] = []): Question =>
  questionSchema.parse({
    action: 'releaseKey',
    principal: { kind: 'device', id: 'press-1', groups: decided, claimGroups: claimed },
    resource: { kind: 'model', name: 'belt', version: '1' },
  });

test('a draft that decides about keys or connections by what devices claim is refused, however it asks', () => {
  const refused = ['policy-rests-on-claims'];
  const connect = (effect: string, condition: string) =>
    `${everyAttestedTpmPolicyText}${effect} (principal, action == Edgekeep::Action::"connect", resource) when { ${condition} };`;
  for (const text of [
    keys(patched),
    keys(`!(${patched})`),
    keys('context has guard && context.guard.missing.isEmpty()'),
    keys('context has claimedLocation'),
    keys('context has claimedLocation.latitude'),
    keys('principal is Edgekeep::Device in Edgekeep::ClaimGroup::"patched"'),
    keys('principal in [Edgekeep::ClaimGroup::"cool", Edgekeep::ClaimGroup::"patched"]'),
    keys('Edgekeep::Device::"press-1" in Edgekeep::ClaimGroup::"patched"'),
    `${everyAttestedTpmPolicyText}forbid (principal in Edgekeep::ClaimGroup::"patched", action, resource);`,
    `permit (principal in Edgekeep::ClaimGroup::"patched", action, resource) when { ${attested} };`,
    connect('permit', patched),
    connect('forbid', 'context has guard && context.guard.walls.isEmpty()'),
  ])
    assert.deepEqual(faultsOf(text), refused, text);
});

test('a statement that names its claims is taken, and decides by them', () => {
  using policy = load(keys(patched, '@claims("patched")'));
  assert.equal(policy.decide(keyAsk(['patched'])).kind, 'permitted');
  assert.equal(policy.decide(keyAsk([], ['patched'])).kind, 'refused');
  assert.deepEqual(policy.claims, [{ statement: 'keys', claims: ['patched'], actions: ['releaseKey'], named: true }]);
  const both = `${patched} && context has guard && context.guard.missing.isEmpty()`;
  assert.deepEqual(faultsOf(keys(both, '@claims("patched, context.guard")')), []);
});

test('the annotation names exactly what the statement rests on', () => {
  const wrong = ['policy-rests-on-claims'];
  for (const annotation of ['@claims("cool")', '@claims("patched, cool")', '@claims("")', '@claims'])
    assert.deepEqual(faultsOf(keys(patched, annotation)), wrong, annotation);
  assert.deepEqual(faultsOf(keys('principal in Edgekeep::Group::"line"', '@claims("line")')), wrong);
});

test('a draft that takes a claim group for another kind of group is refused, and a claim group that does not exist', () => {
  assert.deepEqual(faultsOf(keys('principal in Edgekeep::Group::"patched"')), ['policy-rests-on-claims']);
  const other = 'principal in Edgekeep::ClaimGroup::"line"';
  assert.deepEqual(faultsOf(keys(other, '@claims("line")')), ['policy-rests-on-claims']);
  assert.deepEqual(faultsOf(keys(other, '@claims("line")'), { claimGroups: undefined }), []);
});

test('what a device claims may decide about reports, files and commands', () => {
  const text = (action: string) =>
    `${everyAttestedTpmPolicyText}forbid (principal, action == Edgekeep::Action::"${action}", resource) when { ${patched} };`;
  for (const action of ['fetch', 'attest', 'publishTelemetry', 'receiveCommand'])
    assert.deepEqual(faultsOf(text(action)), [], action);
});

test('a text from before claim groups means the same groups: its permit gives no key, its forbid goes on, and the built-in permit does not come back', () => {
  const group = 'principal in Edgekeep::Group::"patched"';
  using permits = load(keys(group), { stored: true });
  const decision = permits.decide(keyAsk(['patched']));
  assert.ok(decision.kind === 'refused');
  assert.match(
    decision.reasons.map(({ message }) => message).join('\n'),
    /keys rests on patched, which devices say of/,
  );
  using named = load(keys(group, '@claims("patched")'), { stored: true });
  assert.equal(named.decide(keyAsk(['patched'])).kind, 'permitted');
  using forbids = load(
    `${keys('true')} forbid (principal in Edgekeep::Group::"patched", action == Edgekeep::Action::"releaseKey", resource);`,
    { stored: true },
  );
  assert.equal(forbids.decide(keyAsk([])).kind, 'permitted');
  assert.equal(forbids.decide(keyAsk(['patched'])).kind, 'refused');
  using connects = load(
    `${everyAttestedTpmPolicyText}permit (principal in Edgekeep::Group::"patched", action == Edgekeep::Action::"connect", resource);`,
    { stored: true },
  );
  const connect = questionSchema.parse({ ...keyAsk(['patched']), action: 'connect', resource: { kind: 'hub' } });
  assert.equal(connects.decide(connect).kind, 'refused');
});

test('the table has every attribute of the schema, and no other', () => {
  const answer = schemaToJson(policySchema);
  assert.ok(answer.type === 'success');
  const space = answer.json['Edgekeep'];
  assert.ok(space !== undefined);
  const paths = new Set<string>(['principal']);
  const commonTypes: Readonly<Record<string, unknown>> = space.commonTypes ?? {};
  const add = (path: string, type: unknown): void => {
    if (type === null || typeof type !== 'object' || !('type' in type) || typeof type.type !== 'string') return;
    const name = 'name' in type && typeof type.name === 'string' ? type.name : type.type;
    const shape = type.type === 'Record' ? type : commonTypes[name.replace('Edgekeep::', '')];
    const members = membersOf(shape);
    if (members === undefined) {
      paths.add(path);
      return;
    }
    for (const [attribute, inner] of Object.entries(members)) add(`${path}.${attribute}`, inner);
  };
  const principals = new Set(['Device', 'Workload', 'Person', 'Token']);
  for (const [name, entity] of Object.entries(space.entityTypes)) {
    const root = principals.has(name) ? 'principal' : 'resource';
    if ('shape' in entity && entity.shape !== undefined) add(root, entity.shape);
    if ('tags' in entity && entity.tags !== undefined) paths.add(`${root}.tags`);
    if ('memberOfTypes' in entity)
      for (const parent of entity.memberOfTypes ?? []) paths.add(`principal in ${parent.replace('Edgekeep::', '')}`);
  }
  for (const context of ['DeviceContext', 'OperatorContext']) add('context', { type: context });
  assert.deepEqual([...paths].toSorted(), Object.keys(attributeOrigins).toSorted());
});

function membersOf(shape: unknown): object | undefined {
  if (shape === null || typeof shape !== 'object' || !('attributes' in shape)) return undefined;
  return shape.attributes !== null && typeof shape.attributes === 'object' ? shape.attributes : undefined;
}

/** How a device changes each fact that it claims. */
const changes: Readonly<Record<string, (question: Question, seed: number) => Question>> = {
  'principal in ClaimGroup': (question, seed) => ({
    ...question,
    principal: {
      ...deviceOf(question),
      claimGroups: ['patched', 'cool', 'line'].filter((_, bit) => (seed >> bit) & 1),
    },
  }),
  'context.guard': (question, seed) =>
    withContext(question, {
      guard: seed % 3 === 0 ? undefined : { walls: ['landlock'].slice(seed % 2), missing: ['x'].slice(seed % 4) },
    }),
  'context.claimedLocation': (question, seed) =>
    withContext(question, {
      claimedLocation: { latitude: `${seed % 90}.0`, longitude: '15.0', ageSeconds: seed, withinSite: seed % 2 === 0 },
    }),
};
function deviceOf({ principal }: Question) {
  assert.ok(principal.kind === 'device');
  return principal;
}
const withContext = (question: Question, context: object): Question =>
  questionSchema.parse({ ...question, context: { ...question.context, ...context } });

test('each claimed fact of the table is one that the property below changes', () => {
  const claimed = Object.keys(attributeOrigins).filter((path) => attributeOrigins[path] === 'claimed');
  assert.ok(claimed.length > 5);
  for (const path of claimed) {
    const known = Object.keys(changes).some((changed) => path === changed || path.startsWith(`${changed}.`));
    assert.ok(known, path);
  }
});

const decidedConditions = [
  'principal in Edgekeep::Group::"line"',
  'principal.hasTag("line") && principal.getTag("line") == "4"',
  'principal.tier == "tpm"',
  'context.network.atSite',
  'context.health.score < 30',
  'context has zone && context.zone.lessThan(decimal("3.5"))',
];
const claimedConditions = [
  patched,
  'principal in Edgekeep::Group::"patched"',
  'principal is Edgekeep::Device in Edgekeep::Group::"cool"',
  'context has guard && context.guard.missing.isEmpty()',
  'context has claimedLocation && context.claimedLocation has withinSite && context.claimedLocation.withinSite',
];
const conditions = fc.array(fc.constantFrom(...decidedConditions, ...claimedConditions), {
  minLength: 1,
  maxLength: 4,
});
const effects = fc.constantFrom('when', 'unless');
const policies = fc.tuple(conditions, effects, conditions, effects).map(([some, first, more, second]) => ({
  claims: [...some, ...more].some((condition) => claimedConditions.includes(condition)),
  text: `@id("keys") permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { ${attested} } ${first} { ${some.join(' && ')} };
@id("come") permit (principal, action == Edgekeep::Action::"connect", resource) ${second} { ${more.map((each) => `(${each})`).join(' || ')} };`,
}));
const questions = fc.record({
  groups: fc.subarray(['line', 'other']),
  tags: fc.constantFrom({}, { line: '4' }),
  atSite: fc.boolean(),
});

function decisionsOf(
  policy: Policy,
  facts: object,
  atSite: boolean,
  change: (question: Question) => Question,
): readonly string[] {
  const principal = { kind: 'device', id: 'press-1', ...facts };
  const resource = { kind: 'model', name: 'belt', version: '1' };
  return [
    questionSchema.parse({ action: 'releaseKey', principal, resource, context: { network: { atSite } } }),
    questionSchema.parse({ action: 'connect', principal, context: { network: { atSite } } }),
  ].map((question) => policy.decide(change(question)).kind);
}

// SECURITY.md: HUB-64
test('no claim of a device changes a decision about its keys and connections: such a draft is refused, and a stored one gives nothing by it', () => {
  let drafts = 0;
  fc.assert(
    fc.property(policies, questions, fc.nat(1_000), ({ text, claims }, { atSite, ...facts }, seed) => {
      const draft = loadPolicy(text, { name: 'draft', claimGroups });
      assert.equal(draft.kind, claims ? 'refused' : 'loaded', text);
      const asked = draft.kind === 'loaded' ? draft.policy : load(text, { stored: true });
      using policy = asked;
      drafts += 1;
      const plain = decisionsOf(policy, facts, atSite, (question) => question);
      for (const [claim, change] of Object.entries(changes)) {
        const changed = decisionsOf(policy, facts, atSite, (question) => change(question, seed));
        assert.deepEqual(changed, plain, `${claim}: ${text}`);
      }
    }),
    { numRuns: 150 },
  );
  assert.equal(drafts, 150);
});

test('the default policy rests on no claim', () => {
  using policy = load(defaultPolicyText);
  assert.deepEqual(policy.claims, []);
});
