// Root operations against an attacker who has one administrator's token and pretends to be two people.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { approvalList, approveResponse } from '@edgekeep/wire/api/approval';
import { apiTokenResponse, personList } from '@edgekeep/wire/api/people';
import { policyView } from '@edgekeep/wire/api/policy';
import { rootOperations } from '@edgekeep/hub/people/root-operations';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accepted, assertRefused } from '../support/answer.ts';
import { HubWorld, newPublisher, publicPem } from '../support/hub-world.ts';
import { addPerson, firstPerson, newToken, registration, TestPerson } from '../support/people.ts';

let world: HubWorld;
let ada: TestPerson;
let ben: TestPerson;
before(async () => {
  world = await HubWorld.open();
  ada = await firstPerson(world);
  ben = await addPerson(world, 'ben');
});
beforeEach(async () => {
  const { approvals } = accepted(await ada.ask('GET', '/v1/approvals'), approvalList);
  for (const { id } of approvals) await ada.ask('POST', `/v1/approvals/${id}/refuse`, { reason: 'the next test' });
});
after(() => world?.[Symbol.asyncDispose]());

const publisher = () => ({ name: 'another', publicKey: publicPem(newPublisher()) });
const trusted = async () => (await world.entries('publisher-trusted')).length;

// SECURITY.md: HUB-04
test('one person cannot trust a publisher; two can, and both stand in the log', async () => {
  const before = await trusted();
  const asked = await ada.waits('POST', '/v1/publishers', publisher());
  assert.equal(await trusted(), before);
  const { state, status } = accepted(await ben.approve(asked), approveResponse);
  assert.deepEqual([state, status], ['executed', 200]);
  const entries = await world.entries('publisher-trusted');
  assert.equal(entries.length, before + 1);
  assert.equal(entries.at(-1)?.actor, 'person:admin with person:ben');
  const given = (await world.entries('approval-given')).at(-1);
  assert.equal(given?.actor, 'person:ben/desk');
  assert.equal(JSON.parse(JSON.stringify(given.data)).digest, asked.digest);
});

test('the page and the code list the same root operations, and each is a route of the hub', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../spec/operator-access.md'), 'utf8');
  const written = [...page.matchAll(/^\| `([a-z-]+)` \| `([A-Z]+) (\/[^`]+)` \|/gm)].map(
    ([, name = '', method = '', path = '']) =>
      `${name} ${method} ${path.replace('NAME', ':name').replace('SHA256', ':sha256').replace('ID', ':id')}`,
  );
  const coded = rootOperations.map(({ name, method, route }) => `${name} ${method} ${route}`);
  assert.deepEqual(written, coded);
  const { paths } = JSON.parse(Buffer.from((await world.askOperator('GET', '/openapi.json')).body).toString());
  for (const { method, route } of rootOperations)
    assert.ok(
      paths[route.replaceAll(/:([a-z0-9]+)/g, '{$1}')]?.[method.toLowerCase()],
      `${method} ${route} is no route`,
    );
});

test('the same person is no second one, with any of their tokens', async () => {
  const asked = await ada.waits('POST', '/v1/publishers', publisher());
  assertRefused(await ada.approve(asked), { status: 403, code: 'approval-refused', reason: 'same-person' });
  const made = newToken();
  const grant = await ada.waits('POST', '/v1/tokens', { name: 'second', scopes: ['admin'], sha256: made.sha256 });
  accepted(await ben.approve(grant), approveResponse);
  const other = new TestPerson(world, 'admin', made.token);
  assertRefused(await other.approve(asked), { status: 403, code: 'approval-refused', reason: 'same-person' });
});

// SECURITY.md: HUB-04
test('nobody makes a second person alone: people, their tokens and admin tokens take two as well', async () => {
  const before = await trusted();
  await ada.waits('POST', '/v1/people', { name: 'puppet' });
  await ada.waits('POST', '/v1/tokens', registration('ben', newToken()));
  await ada.waits('POST', '/v1/tokens', { name: 'x', roles: ['administrator'], sha256: newToken().sha256 });
  const service = { name: 'x', scopes: ['admin'], service: true, sha256: newToken().sha256 };
  await ada.waits('POST', '/v1/tokens', service);
  assert.equal(await trusted(), before);
});

test('a service asks for no root operation and approves none', async () => {
  const made = newToken();
  const order = { name: 'robot', scopes: ['admin'], service: true, sha256: made.sha256 };
  accepted(await ben.approve(await ada.waits('POST', '/v1/tokens', order)), approveResponse);
  const robot = new TestPerson(world, 'robot', made.token);
  const refused = { status: 403, code: 'approval-refused', reason: 'not-a-person' };
  assertRefused(await robot.ask('POST', '/v1/publishers', publisher()), refused);
  assertRefused(await robot.approve(await ada.waits('POST', '/v1/publishers', publisher())), refused);
});

// SECURITY.md: HUB-05
test('an approval is of one digest: a request that was changed, or another, is not carried out by it', async () => {
  const before = await trusted();
  const [one, two] = [
    await ada.waits('POST', '/v1/publishers', publisher()),
    await ada.waits('POST', '/v1/publishers', publisher()),
  ];
  assert.notEqual(one.digest, two.digest);
  const crossed = { id: one.id, digest: two.digest };
  assertRefused(await ben.approve(crossed), { status: 403, code: 'approval-refused', reason: 'digest-differs' });
  assert.equal(await trusted(), before);
});

// SECURITY.md: HUB-05
test('an approval is spent once: a replay, and the slower of two at the same moment, are refused', async () => {
  const before = await trusted();
  const asked = await ada.waits('POST', '/v1/publishers', publisher());
  const answers = await Promise.all(Array.from({ length: 8 }, () => ben.approve(asked)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 1);
  for (const answer of answers.filter(({ status }) => status !== 200))
    assertRefused(answer, { status: 409, code: 'conflict' });
  await world.restart();
  assertRefused(await ben.approve(asked), { status: 409, code: 'conflict', says: /executed/ });
  assert.equal(await trusted(), before + 1);
});

test('a request dies with the token that made it', async () => {
  const before = await trusted();
  const made = newToken();
  const grant = await ada.waits('POST', '/v1/tokens', { name: 'thief', scopes: ['admin'], sha256: made.sha256 });
  accepted(await ben.approve(grant), approveResponse);
  const thief = new TestPerson(world, 'admin', made.token);
  const asked = await thief.waits('POST', '/v1/publishers', publisher());
  assert.equal((await ada.ask('POST', '/v1/tokens/thief/revoke', {})).status, 200);
  assertRefused(await ben.approve(asked), { status: 403, code: 'approval-refused', reason: 'token-ended' });
  assert.equal(await trusted(), before);
});

// SECURITY.md: HUB-04
test('an approver needs the scope of the request, and sees no request beyond their scopes', async () => {
  const clerk = await addPerson(world, 'clerk', { role: 'operator', second: ben });
  const asked = await ada.waits('POST', '/v1/publishers', publisher());
  assertRefused(await clerk.approve(asked), { status: 403, code: 'approval-refused', reason: 'scope-missing' });
  assertRefused(await clerk.ask('GET', `/v1/approvals/${asked.id}`), { status: 404, code: 'not-found' });
  const { approvals } = accepted(await clerk.ask('GET', '/v1/approvals?state=any'), approvalList);
  assert.deepEqual(
    approvals.filter(({ scope }) => !['devices:write', 'enrollment:write'].includes(scope)),
    [],
  );
  // The role has tokens:write, but its holder still cannot give anybody admin.
  const grant = await ada.waits('POST', '/v1/tokens', registration('clerk', newToken()));
  assertRefused(await clerk.approve(grant), { status: 403, code: 'approval-refused', reason: 'scope-missing' });
  const guard = await addPerson(world, 'guard', { role: 'security', second: ben });
  const { text } = accepted(await guard.ask('GET', '/v1/policy'), policyView);
  const policy = { text: `${text}\n// read again` };
  const applied = await guard.waits('PUT', '/v1/policy', policy);
  assertRefused(await clerk.approve(applied), { status: 403, code: 'approval-refused', reason: 'scope-missing' });
});

test('what was refused or withdrawn is not carried out, and a thing that fails is answered as failed', async () => {
  const before = await trusted();
  const asked = await ada.waits('POST', '/v1/publishers', publisher());
  assert.equal((await ben.ask('POST', `/v1/approvals/${asked.id}/refuse`, { reason: 'not that key' })).status, 200);
  assertRefused(await ben.approve(asked), { status: 409, code: 'conflict', says: /refused/ });
  const withdrawn = await ada.waits('POST', '/v1/publishers', publisher());
  assert.equal((await ada.ask('POST', `/v1/approvals/${withdrawn.id}/refuse`, { reason: 'a slip' })).status, 200);
  assertRefused(await ben.approve(withdrawn), { status: 409, code: 'conflict' });
  assert.equal(await trusted(), before);
  // Both pass when they are asked for; the second is refused by what is when it is carried out.
  const [first, second] = [
    await ada.waits('POST', '/v1/people', { name: 'nora' }),
    await ben.waits('POST', '/v1/people', { name: 'nora' }),
  ];
  assert.equal(accepted(await ben.approve(first), approveResponse).state, 'executed');
  const { state, status } = accepted(await ada.approve(second), approveResponse);
  assert.deepEqual([state, status], ['failed', 409]);
});

test('what would be refused when it is carried out is refused at once, by the same words, and asks nobody', async () => {
  const kept = async () => (await world.entries('approval-requested')).length;
  const before = await kept();
  for (const [path, body, refusal] of [
    ['/v1/models/belt/groups', { add: ['nobody-made-it'] }, { status: 404, code: 'not-found', says: /nobody-made-it/ }],
    ['/v1/people', { name: 'ben' }, { status: 409, code: 'conflict', says: /exists already/ }],
    ['/v1/publishers', { name: 'x', publicKey: 'no key' }, { status: 400, code: 'request-invalid' }],
    [`/v1/tokens/${'0'.repeat(16)}/hand-over`, {}, { status: 404, code: 'not-found' }],
  ] as const)
    assertRefused(await ada.ask('POST', path, body), refusal);
  assert.equal(await kept(), before);
});

test('a group that goes away between the request and its approval refuses the act', async () => {
  assert.equal((await ada.ask('POST', '/v1/groups', { name: 'brief' })).status, 200);
  const asked = await ada.waits('POST', '/v1/models/belt/groups', { add: ['brief'] });
  assert.equal((await ada.ask('DELETE', '/v1/groups/brief')).status, 200);
  const { state, status } = accepted(await ben.approve(asked), approveResponse);
  assert.deepEqual([state, status], ['failed', 404]);
});

test('a guessed word of approval passes nothing: the header of the hub to itself is no token', async () => {
  const body = JSON.stringify(publisher());
  const headers = { 'edgekeep-approved': '0'.repeat(64) };
  const answer = await world.askOperator('POST', '/v1/publishers', { body, headers });
  assertRefused(answer, { status: 401, code: 'token-required' });
  const own = await world.askOperator('POST', '/v1/publishers', { body, headers, token: ada.token });
  assert.equal(own.status, 202);
});

// SECURITY.md: HUB-04
test('the second person cannot be removed by disabling them', async () => {
  await using own = await HubWorld.open();
  const first = await firstPerson(own);
  await addPerson(own, 'ben');
  assert.equal((await first.ask('POST', '/v1/people/ben/disable', { reason: 'a coup' })).status, 200);
  await first.waits('POST', '/v1/publishers', publisher());
  await first.waits('POST', '/v1/people/ben/enable', {});
  await first.waits('POST', '/v1/people', { name: 'puppet' });
});

test('a token with admin is registered by its hash: its text would be answered to who approves', async () => {
  const answer = await ada.ask('POST', '/v1/tokens', { name: 'shown', scopes: ['admin'] });
  assertRefused(answer, { status: 400, code: 'request-invalid', says: /sha256/ });
});

test('more requests than a person can mean are refused, and the same one is not kept twice', async () => {
  const carl = await addPerson(world, 'dora', { second: ben });
  const same = publisher();
  const first = await carl.waits('POST', '/v1/publishers', same);
  assert.equal((await carl.waits('POST', '/v1/publishers', same)).id, first.id);
  for (let at = 1; at < 20; at += 1) await carl.waits('POST', '/v1/people', { name: `p-${at}` });
  const answer = await carl.ask('POST', '/v1/people', { name: 'p-20' });
  assertRefused(answer, { status: 429, code: 'rate-limited' });
});

test('the policy is asked about the second person too, with the scope of the request', async () => {
  const { text } = accepted(await ada.ask('GET', '/v1/policy'), policyView);
  const asked = await ada.waits('POST', '/v1/publishers', publisher());
  const forbidden = `@id("not-ben") forbid (principal in Edgekeep::Person::"ben", action, resource) when { context.scope == "admin" };`;
  const apply = async (wanted: string) =>
    accepted(await ben.approve(await ada.waits('PUT', '/v1/policy', { text: wanted })), approveResponse);
  assert.equal((await apply(`${text}\n${forbidden}`)).state, 'executed');
  assertRefused(await ben.approve(asked), { status: 403, code: 'access-refused', says: /not-ben/ });
  assert.equal((await ada.approval(asked.id)).state, 'waiting');
  assert.equal((await apply(text)).state, 'executed');
  accepted(await ben.approve(asked), approveResponse);
});

test('a request that waits outlives a restart, and ends in its time', async () => {
  const [late, intime] = [
    await ada.waits('POST', '/v1/publishers', publisher()),
    await ada.waits('POST', '/v1/publishers', publisher()),
  ];
  await world.restart();
  accepted(await ben.approve(intime), approveResponse);
  world.clock.advanceSeconds(3_600);
  assertRefused(await ben.approve(late), { status: 409, code: 'conflict', says: /expired/ });
  assert.equal((await ben.approval(late.id)).state, 'expired');
});

test('with the rule on from the first day one person can do nothing but make the second known', async () => {
  await using strict = await HubWorld.open({ settings: { access: { twoPeople: 'on' } }, trustPublisher: false });
  const first = await firstPerson(strict);
  await first.waits('POST', '/v1/publishers', publisher());
  const second = await addPerson(strict, 'ben');
  assert.equal(accepted(await first.ask('GET', '/v1/people'), personList).twoPeople, true);
  const asked = await first.waits('POST', '/v1/publishers', publisher());
  accepted(await second.approve(asked), approveResponse);
});

test('with the rule off one person does it all', async () => {
  await using loose = await HubWorld.open({ settings: { access: { twoPeople: 'off' } } });
  const first = await firstPerson(loose);
  await addPerson(loose, 'ben');
  assert.equal((await first.ask('POST', '/v1/publishers', publisher())).status, 200);
  const made = newToken();
  accepted(await first.ask('POST', '/v1/tokens', registration('ben', made)), apiTokenResponse);
});
