import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyAttestedTpmPolicyText } from './built-in.ts';
import { loadDraft } from './draft.ts';
import { loadPolicy, type Policy, type PolicyMeaning } from './policy.ts';
import { type Question, questionSchema } from './question.ts';

const device = (id = 'press-1') => ({ kind: 'device', id });
const model = { kind: 'model', name: 'inspect', version: '1.0.0', publisher: 'ab' };

function question(input: object): Question {
  return questionSchema.parse(input);
}
const keyAsk = (context: object = {}, principal: object = device()) =>
  question({ action: 'releaseKey', principal, resource: model, context });
const connect = (context: object = {}, principal: object = device()) =>
  question({ action: 'connect', principal, context });

function load(text: string, meaning: PolicyMeaning = 'any-action'): Policy {
  const loaded = loadPolicy(text, { name: 'policy 7', meaning });
  assert.ok(loaded.kind === 'loaded', JSON.stringify(loaded));
  return loaded.policy;
}

function faultsOf(text: string): readonly string[] {
  const loaded = loadPolicy(text, { name: 'draft' });
  if (loaded.kind === 'refused') return [...new Set(loaded.faults.map(({ code }) => code))];
  loaded.policy[Symbol.dispose]();
  return [];
}

function messages(policy: Policy, asked: Question): string {
  const decision = policy.decide(asked);
  return decision.kind === 'refused' ? decision.reasons.map(({ message }) => message).join('\n') : 'permitted';
}

const permit = (condition: string) =>
  `permit (principal is Edgekeep::Device, action == Edgekeep::Action::"releaseKey", resource is Edgekeep::Model) ${condition};`;
const forbidConnect = (condition: string, claims = '') =>
  `${everyAttestedTpmPolicyText}${claims}@id("stop") forbid (principal, action == Edgekeep::Action::"connect", resource) ${condition};`;

test('the default policy gives keys to affirmed TPMs only, and leaves every other action as it was before there were policies about it', () => {
  const policy = load(everyAttestedTpmPolicyText);
  assert.deepEqual(policy.decide(keyAsk()), { kind: 'permitted', statements: ['attested-tpm'] });
  for (const attestation of [{ tier: 'software' }, { status: 'warning' }, { status: 'contraindicated' }]) {
    assert.equal(policy.decide(keyAsk({ attestation })).kind, 'refused');
  }
  const quarantined = { ...device(), state: 'quarantined', enabled: false };
  assert.deepEqual(policy.decide(connect({}, quarantined)).statements, ['built-in-connect']);
  const token = { kind: 'token', id: 'ci', scopes: ['models:read'] };
  const administer = question({ action: 'administer', principal: token, context: { scope: 'admin' } });
  assert.deepEqual(policy.decide(administer).statements, ['built-in-administer']);
  assert.equal(policy.reads('connect').size, 0);
});

test('a permit that names an action takes the place of the built-in one, of that action only', () => {
  const policy = load(
    `${everyAttestedTpmPolicyText}@id("at-site") permit (principal, action in [Edgekeep::Action::"connect"], resource) when { context.network.atSite };`,
  );
  assert.deepEqual(policy.decide(connect()).statements, ['at-site']);
  assert.equal(policy.decide(connect({ network: { atSite: false } })).kind, 'refused');
  assert.deepEqual(policy.decide(question({ action: 'attest', principal: device() })).statements, ['built-in-attest']);
});

test('a forbid of any action is about all actions, and in a text of the time before that about keys alone', () => {
  const text = `${everyAttestedTpmPolicyText}@id("not-the-spare") forbid (principal == Edgekeep::Device::"press-9", action, resource);`;
  for (const [meaning, connecting] of [
    ['any-action', 'refused'],
    ['release-only', 'permitted'],
  ] as const) {
    const policy = load(text, meaning);
    assert.equal(policy.decide(connect({}, device('press-9'))).kind, connecting);
    assert.equal(policy.decide(keyAsk({}, device('press-9'))).kind, 'refused');
    assert.equal(policy.decide(keyAsk()).kind, 'permitted');
  }
  const onlyModels = `${text} forbid (principal, action, resource) when { resource.name == "secret" };`;
  assert.deepEqual(faultsOf(onlyModels), ['policy-invalid']);
  assert.equal(load(onlyModels, 'release-only').decide(keyAsk()).kind, 'permitted');
});

test('a refusal names each statement that would have permitted it, and what each of them wants that is not so', () => {
  const policy = load(everyAttestedTpmPolicyText);
  const said = messages(policy, keyAsk({ attestation: { tier: 'software' } }));
  assert.match(
    said,
    /policy 7 does not permit releaseKey; its statement attested-tpm would if context\.attestation\.tier == "tpm" \(it is "software"\)/,
  );
  assert.doesNotMatch(said, /affirming/);
});

test('a refusal by a forbid names it and the condition that matched, with the value it met', () => {
  const policy = load(forbidConnect('when { !context.network.atSite && context.time.hour >= 22 }'));
  const said = messages(policy, connect({ network: { atSite: false }, time: { hour: 23 } }));
  assert.match(said, /policy 7, statement stop forbids connect because/);
  assert.match(said, /context\.network\.atSite.* \(it is false\)/);
  assert.match(said, /context\.time\.hour >= 22 \(it is 23\)/);
  const plain = load(
    `${everyAttestedTpmPolicyText}@id("stop") forbid (principal == Edgekeep::Device::"press-9", action, resource);`,
  );
  assert.match(messages(plain, connect({}, device('press-9'))), /stop forbids connect under any condition/);
});

test('a condition with unless is explained the way it counts', () => {
  const policy = load(
    permit('when { context.attestation.status == "affirming" } unless { context.presence.elsewhere }'),
  );
  const said = messages(policy, keyAsk({ presence: { elsewhere: true } }));
  assert.match(said, /not \(context\.presence\.elsewhere\) \(it is true\)/);
});

test('what would change a refusal does change it', () => {
  const policy = load(
    permit(
      'when { context.attestation.status == "affirming" && context.attestation.ageSeconds < 60 && context.health.score < 50 }',
    ),
  );
  const said = messages(policy, keyAsk({ attestation: { ageSeconds: 61 }, health: { score: 80 } }));
  assert.match(said, /ageSeconds < 60 \(it is 61\)/);
  assert.match(said, /score < 50 \(it is 80\)/);
  assert.doesNotMatch(said, /status ==/);
  assert.equal(policy.decide(keyAsk({ attestation: { ageSeconds: 59 }, health: { score: 49 } })).kind, 'permitted');
});

// SECURITY.md: HUB-54
test('a remembered answer is given to exactly those who agree in everything the statements look at', () => {
  const policy = load(
    forbidConnect(
      'when { principal.hasTag("line") && principal.getTag("line") == "press" && context.network.ip.isInRange(ip("10.0.0.0/8")) }',
    ),
  );
  const pressed = { ...device(), tags: { line: 'press' } };
  for (let round = 0; round < 2; round += 1) {
    assert.equal(policy.decide(connect({ network: { ip: '10.1.1.1' } }, pressed)).kind, 'refused');
    assert.equal(policy.decide(connect({ network: { ip: '11.1.1.1' } }, pressed)).kind, 'permitted');
    assert.equal(policy.decide(connect({ network: { ip: '10.1.1.1' } })).kind, 'permitted');
  }
  assert.deepEqual([...policy.reads('connect')].toSorted(), ['context.network.ip', 'principal.tags']);
});

test('a statement about one device, a group, a site or a workload is never answered from the memory of another', () => {
  const who = [
    ['principal == Edgekeep::Device::"press-9"', device('press-9')],
    ['principal in Edgekeep::Group::"pilot"', { ...device('press-2'), groups: ['pilot'] }],
    ['principal in Edgekeep::Site::"graz"', { ...device('press-3'), site: 'graz' }],
    [
      'principal is Edgekeep::Workload in Edgekeep::Device::"press-4"',
      { kind: 'workload', id: 'spiffe://x/press-4/eye', name: 'eye', device: device('press-4') },
    ],
  ] as const;
  for (const [scope, principal] of who) {
    const policy = load(
      `${everyAttestedTpmPolicyText}forbid (${scope}, action == Edgekeep::Action::"connect", resource);`,
    );
    for (const [, other] of who) {
      assert.equal(policy.decide(connect({}, other)).kind, other === principal ? 'refused' : 'permitted', scope);
    }
  }
  const inside = load(forbidConnect('when { Edgekeep::Device::"press-9" == principal }'));
  assert.equal(inside.decide(connect()).kind, 'permitted');
  assert.equal(inside.decide(connect({}, device('press-9'))).kind, 'refused');
});

test('every context can permit and can forbid', () => {
  const claimed = { latitude: '47.0707', longitude: '15.4395', ageSeconds: 5, metresFromSite: 90, withinSite: true };
  for (const [condition, yes, no] of [
    [
      'context.network.ip.isInRange(ip("10.1.0.0/16"))',
      { network: { ip: '10.1.2.3' } },
      { network: { ip: '10.2.2.3' } },
    ],
    ['context.network.ip.isIpv6()', { network: { ip: '2001:db8::1' } }, { network: { ip: '10.2.2.3' } }],
    ['context.network.atSite', {}, { network: { atSite: false } }],
    ['context.network has country && context.network.country == "AT"', { network: { country: 'AT' } }, {}],
    ['context.time.hour >= 6 && context.time.hour < 22', {}, { time: { hour: 5 } }],
    ['context.time.weekday <= 5', {}, { time: { weekday: 6 } }],
    ['context.time.now < datetime("2026-07-01")', {}, { time: { now: Date.UTC(2026, 6, 2) } }],
    [
      'context has claimedLocation && context.claimedLocation.latitude.greaterThan(decimal("47.0"))',
      { claimedLocation: claimed },
      {},
    ],
    [
      'context has claimedLocation && context.claimedLocation has withinSite && context.claimedLocation.withinSite',
      { claimedLocation: claimed },
      { claimedLocation: { ...claimed, withinSite: false } },
    ],
    [
      'context has guard && context.guard.walls.containsAll(["process-namespace", "file-system"])',
      { guard: { walls: ['file-system', 'network-namespace', 'process-namespace'] } },
      { guard: { walls: ['file-system'], missing: ['process-namespace'] } },
    ],
    ['context has guard && context.guard.missing.isEmpty()', { guard: {} }, {}],
    ['!context.presence.elsewhere', {}, { presence: { elsewhere: true } }],
    ['context.traffic.percentOfUsual < 300', {}, { traffic: { percentOfUsual: 301 } }],
    ['context.health.risk != "high"', {}, { health: { risk: 'high' } }],
    ['context.attestation.ageSeconds < 3600', {}, { attestation: { ageSeconds: 3_600 } }],
    ['context has zone && context.zone.lessThan(decimal("3.5"))', { zone: '2.0' }, { zone: '3.5' }],
  ] as const) {
    const named = /context\.(?:guard|claimedLocation)/.exec(condition)?.[0];
    const claims = named === undefined ? '' : `@claims("${named}") `;
    const permits = load(
      `${everyAttestedTpmPolicyText}${claims}permit (principal, action == Edgekeep::Action::"connect", resource) when { ${condition} };`,
    );
    assert.equal(permits.decide(connect(yes)).kind, 'permitted', condition);
    assert.equal(permits.decide(connect(no)).kind, 'refused', condition);
    const forbids = load(forbidConnect(`unless { ${condition} }`, claims));
    assert.equal(forbids.decide(connect(yes)).kind, 'permitted', condition);
    assert.equal(forbids.decide(connect(no)).kind, 'refused', condition);
  }
});

test('a draft is refused for a text that no tag could equal, for what hides what it says, and for times and networks that do not exist', () => {
  const draft = (condition: string) => loadDraft(forbidConnect(`when { ${condition} }`), { name: 'draft' });
  const refusals: readonly (readonly [string, RegExp])[] = [
    ['context.network has country && context.network.country == "e\u0301"', /line \d+ is not in Unicode normal form C/],
    ['context.network has country && context.network.country == "A\u202eT"', /U\+202E/],
    ['context.network has country /* \u2066 */', /U\+2066/],
    ['context.time.now < datetime("2026-02-30")', /datetime/],
    ['context.time.now < datetime("2026-11-29T24:00:00Z")', /datetime/],
    ['context.time.now < datetime("2026-06-30T23:59:60Z")', /datetime/],
    ['context.network.ip.isInRange(ip("010.0.0.0/8"))', /IP address/],
    ['context.network.ip.isInRange(ip("::ffff:10.0.0.0/104"))', /IP address/],
  ];
  for (const [condition, why] of refusals) {
    const loaded = draft(condition);
    assert.ok(loaded.kind === 'refused', condition);
    assert.match(loaded.faults.map(({ message }) => message).join(), why);
  }
  for (const spelling of ['2001:db8::/32', '2001:0db8::/32', '2001:DB8::/32']) {
    const policy = load(forbidConnect(`when { context.network.ip.isInRange(ip("${spelling}")) }`));
    assert.equal(policy.decide(connect({ network: { ip: '2001:db8::7' } })).kind, 'refused', spelling);
  }
});

test('a statement that errs while it is evaluated is a no that names it', () => {
  const policy = load(
    forbidConnect('when { context.traffic.lastMinute * 9007199254740991 > 3 && false == context.network.atSite }'),
  );
  assert.equal(policy.decide(connect({ traffic: { lastMinute: 1 } })).kind, 'permitted');
  const decision = policy.decide(connect({ traffic: { lastMinute: 2_000 } }));
  assert.ok(decision.kind === 'refused');
  assert.equal(decision.reasons[0]?.code, 'policy-error');
  assert.match(decision.reasons[0]?.message ?? '', /stop/);
});

test('a policy that constrains nothing is refused', () => {
  assert.deepEqual(faultsOf('permit (principal, action, resource);'), ['policy-constrains-nothing']);
  assert.deepEqual(faultsOf(permit('')), ['policy-constrains-nothing']);
  assert.deepEqual(faultsOf(permit('when { principal.tier == "tpm" }')), ['policy-constrains-nothing']);
  assert.deepEqual(faultsOf(permit('when { context.attestation.status != "" }')), ['policy-constrains-nothing']);
  assert.deepEqual(faultsOf(permit('when { context.attestation.hardware >= 0 }')), ['policy-constrains-nothing']);
  const group = 'when { principal in Edgekeep::Group::"pilot" && context.attestation.hardware >= 0 }';
  assert.deepEqual(faultsOf(permit(group)), ['policy-constrains-nothing']);
  const hidden = 'when { context.time.hour == 3 && resource.publisher == "ab" && context.attestation.hardware >= 0 }';
  assert.deepEqual(faultsOf(permit(hidden)), ['policy-constrains-nothing']);
  const either = 'when { context.attestation.status == "affirming" || resource.name == "inspect" }';
  assert.deepEqual(faultsOf(permit(either)), ['policy-constrains-nothing']);
  assert.deepEqual(faultsOf(permit('when { resource.name == "inspect" && context.attestation.hardware == 2 }')), []);
});

test('a policy without a permit of keys, with a wrong attribute or with broken syntax is refused', () => {
  assert.deepEqual(faultsOf('forbid (principal, action, resource);'), ['policy-permits-nothing']);
  assert.deepEqual(faultsOf(permit('when { context.attestation.colour == "red" }')), ['policy-invalid']);
  assert.deepEqual(faultsOf(permit('when { context.attestation.status == 2 }')), ['policy-invalid']);
  assert.deepEqual(faultsOf(forbidConnect('when { context.claimedLocation.withinSite }')), ['policy-invalid']);
  assert.deepEqual(faultsOf(forbidConnect('when { context.scope == "admin" }')), ['policy-invalid']);
  assert.deepEqual(faultsOf('permit ('), ['policy-syntax']);
  assert.deepEqual(faultsOf('permit (principal == ?principal, action, resource);'), ['policy-syntax']);
  assert.deepEqual(faultsOf('\ud800'), ['policy-syntax']);
  assert.deepEqual(faultsOf(forbidConnect('when { context.traffic.lastMinute > 9007199254740993 }')), [
    'policy-syntax',
  ]);
});

// SECURITY.md: HUB-53
test('a text that would overrun the engine is refused before the engine sees it, and the engine goes on', () => {
  const bombs = {
    brackets: `${'('.repeat(5_000)}true${')'.repeat(5_000)}`,
    negations: `${'!('.repeat(500)}true${')'.repeat(500)}`,
    sets: `${'['.repeat(500)}1${']'.repeat(500)} == [1]`,
    and: Array.from({ length: 5_000 }, () => 'true').join(' && '),
    sum: `${Array.from({ length: 5_000 }, () => '1').join(' + ')} > 3`,
    dots: `context${'.a'.repeat(5_000)}`,
    has: `context has ${Array.from({ length: 5_000 }, () => 'a').join('.')}`,
    choices: `${'if context.network.atSite then true else '.repeat(5_000)}true`,
  };
  for (const [name, condition] of Object.entries(bombs)) {
    assert.deepEqual(faultsOf(forbidConnect(`when { ${condition} }`)), ['policy-too-complex'], name);
  }
  assert.deepEqual(faultsOf(`${everyAttestedTpmPolicyText}//${'x'.repeat(256 * 1_024)}`), ['policy-too-long']);
  assert.deepEqual(faultsOf('permit (principal, action, resource);'.repeat(2_001)), ['policy-too-complex']);
  assert.equal(load(everyAttestedTpmPolicyText).decide(keyAsk()).kind, 'permitted');
});

test('brackets and operators in texts and comments do not count', () => {
  const text = `${'('.repeat(100)}${'&&'.repeat(100)}`;
  assert.deepEqual(
    faultsOf(forbidConnect(`// ${text}\n when { principal is Edgekeep::Device && principal.tier == "${text}" }`)),
    [],
  );
});

test('equal names are distinguished by their position', () => {
  const policy = load(`${everyAttestedTpmPolicyText}${everyAttestedTpmPolicyText}`);
  assert.deepEqual(
    policy.statements.map(({ id }) => id),
    ['attested-tpm', 'attested-tpm#1'],
  );
});
