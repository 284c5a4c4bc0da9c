// Enrollment tokens over a real hub: they end with the API token that made them, unless somebody takes them over, and each can be ended
// alone.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import {
  enrollmentTokenHandedOver,
  enrollmentTokenList,
  enrollmentTokenRevoked,
  type EnrollmentTokenView,
  enrollmentTokenResponse,
} from '@edgekeep/wire/api/enrollment-token';
import { enrollmentGroupDetail, groupTokenResponse } from '@edgekeep/wire/api/enrollment-group';
import { apiTokenResponse, claimResponse } from '@edgekeep/wire/api/people';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { addPerson, firstPerson, newToken, TestPerson } from './support/people.ts';
import { TestDevice } from './support/test-device.ts';
import { changeStore } from './support/edited-store.ts';

let world: HubWorld;
let ada: TestPerson;
let ben: TestPerson;
let opened: AsyncDisposableStack;
before(async () => {
  opened = new AsyncDisposableStack();
  world = opened.use(await HubWorld.open({ settings: { access: { twoPeople: 'off' } } }));
  ada = await firstPerson(world);
  ben = await addPerson(world, 'ben');
  accepted(
    await ada.ask('POST', '/v1/enrollment-groups', { name: 'line', kind: 'token' }),
    enrollmentGroupDetail.pick({ name: true }),
  );
});
after(() => opened?.[Symbol.asyncDispose]());

const idOf = (token: string) => createHash('sha256').update(token).digest('hex').slice(0, 16);

/** Another token of ada's. */
async function another(name: string, lifeSeconds = 3_600): Promise<TestPerson> {
  const made = newToken();
  const order = { name, scopes: ['enrollment:write', 'devices:read'], lifeSeconds, sha256: made.sha256 };
  accepted(await ada.ask('POST', '/v1/tokens', order), apiTokenResponse);
  return new TestPerson(world, 'admin', made.token);
}

async function makers(name: string, lifeSeconds?: number) {
  const maker = await another(name, lifeSeconds);
  const oneTime = accepted(await maker.ask('POST', '/v1/enrollment-tokens', {}), enrollmentTokenResponse);
  const path = '/v1/enrollment-groups/line/tokens';
  const ofGroup = accepted(await maker.ask('POST', path, { maxUses: 3 }), groupTokenResponse);
  return { maker, oneTime, ofGroup };
}

async function listed(
  by: TestPerson,
  state: 'usable' | 'any' = 'any',
): Promise<ReadonlyMap<string, EnrollmentTokenView>> {
  const views = new Map<string, EnrollmentTokenView>();
  for (let after: string | null = ''; after !== null;) {
    const answer = await by.ask('GET', `/v1/enrollment-tokens?state=${state}&limit=2&after=${after}`);
    const page = accepted(answer, enrollmentTokenList);
    for (const view of page.tokens) views.set(view.id, view);
    after = page.next;
  }
  return views;
}

let devices = 0;
async function enrollWith(token: string) {
  const id = `press-${(devices += 1)}`;
  const device = opened.use(await TestDevice.withoutTpm(id, join(world.folder, id)));
  return device.tryEnroll(world, token);
}

const assertUnfit = async (token: string) =>
  assertRefused(await enrollWith(token), {
    status: 403,
    code: 'enrollment-refused',
    says: /needs an enrollment token/,
  });

// SECURITY.md: HUB-61
test('enrollment tokens of both kinds end with the API token that made them', async () => {
  const { oneTime, ofGroup } = await makers('leaving');
  accepted(await enrollWith(ofGroup.token), certificateResponse);
  assert.equal((await ada.ask('POST', '/v1/tokens/leaving/revoke', {})).status, 200);
  for (const { token } of [oneTime, ofGroup]) {
    await assertUnfit(token);
    assert.equal((await listed(ada)).get(idOf(token))?.state, 'maker-ended');
    assert.equal((await listed(ada, 'usable')).has(idOf(token)), false);
  }
  const { tokens } = accepted(await ada.ask('GET', '/v1/enrollment-groups/line'), enrollmentGroupDetail);
  assert.equal(tokens.find(({ token }) => token === idOf(ofGroup.token))?.state, 'maker-ended');
});

test('an enrollment token ends no later than the API token that made it, and its answer says so', async () => {
  const { maker, oneTime, ofGroup } = await makers('short', 600);
  const tokens = await listed(maker);
  for (const { token, expiresAt } of [oneTime, ofGroup]) {
    assert.ok(expiresAt <= world.clock.now() + 600_000, `${expiresAt}`);
    assert.equal(tokens.get(idOf(token))?.expiresAt, expiresAt);
    assert.equal(tokens.get(idOf(token))?.endsWith, idOf(maker.token));
  }
});

// SECURITY.md: HUB-61
test('the enrollment tokens of a disabled person end, and do not come back with the person', async () => {
  const carl = await addPerson(world, 'carl', { role: 'operator' });
  const { token } = accepted(await carl.ask('POST', '/v1/enrollment-tokens', {}), enrollmentTokenResponse);
  assert.equal((await ada.ask('POST', '/v1/people/carl/disable', { reason: 'left' })).status, 200);
  await assertUnfit(token);
  assert.equal((await ada.ask('POST', '/v1/people/carl/enable', {})).status, 200);
  await assertUnfit(token);
});

// SECURITY.md: HUB-61
test('an enrollment token that was handed over outlives its maker and ends with who took it', async () => {
  const { oneTime, ofGroup } = await makers('moving');
  for (const { token, expiresAt } of [oneTime, ofGroup]) {
    const answer = await ben.ask('POST', `/v1/enrollment-tokens/${idOf(token)}/hand-over`, {});
    assert.deepEqual(accepted(answer, enrollmentTokenHandedOver), { id: idOf(token), expiresAt });
  }
  assert.equal((await ada.ask('POST', '/v1/tokens/moving/revoke', {})).status, 200);
  for (const { token } of [oneTime, ofGroup]) accepted(await enrollWith(token), certificateResponse);
  const [entry] = (await world.entries('enrollment-token-handed-over')).slice(-1);
  const to = idOf(ben.token);
  const data: unknown = JSON.parse(JSON.stringify(entry?.data));
  assert.deepEqual([entry?.actor, entry?.subject, Object(data).to], ['person:ben/desk', 'enrollment-group:line', to]);
  assert.equal((await ada.ask('POST', '/v1/people/ben/disable', { reason: 'left' })).status, 200);
  await assertUnfit(ofGroup.token);
});

test('what has ended is not handed over, and a service takes nothing over', async () => {
  const { oneTime, ofGroup } = await makers('gone');
  const made = newToken();
  const robot = { name: 'robot', scopes: ['enrollment:write'], service: true, sha256: made.sha256 };
  accepted(await ada.ask('POST', '/v1/tokens', robot), apiTokenResponse);
  const path = (token: string) => `/v1/enrollment-tokens/${idOf(token)}/hand-over`;
  const service = new TestPerson(world, 'robot', made.token);
  assertRefused(await service.ask('POST', path(ofGroup.token), {}), { status: 409, code: 'conflict', says: /service/ });
  assert.equal((await ada.ask('POST', '/v1/tokens/gone/revoke', {})).status, 200);
  for (const { token } of [oneTime, ofGroup])
    assertRefused(await ada.ask('POST', path(token), {}), { status: 404, code: 'not-found' });
});

// SECURITY.md: HUB-61
test('one enrollment token is revoked alone, with its entry; twice is refused', async () => {
  const { oneTime, ofGroup } = await makers('careless');
  accepted(await enrollWith(ofGroup.token), certificateResponse);
  for (const { token } of [oneTime, ofGroup]) {
    const path = `/v1/enrollment-tokens/${idOf(token)}/revoke`;
    accepted(await ada.ask('POST', path, {}), enrollmentTokenRevoked);
    await assertUnfit(token);
    assertRefused(await ada.ask('POST', path, {}), { status: 404, code: 'not-found' });
    assert.equal((await listed(ada)).get(idOf(token))?.state, 'revoked');
  }
  const revoked = (await world.entries('enrollment-token-revoked')).map(({ subject }) => subject);
  assert.deepEqual(revoked, ['any-device', 'enrollment-group:line']);
  const other = await makers('careful');
  accepted(await enrollWith(other.oneTime.token), certificateResponse);
});

test('sixteen tokens of a group whose maker has ended leave room for the next', async () => {
  const group = { name: 'rolled', kind: 'token' };
  accepted(await ada.ask('POST', '/v1/enrollment-groups', group), enrollmentGroupDetail.pick({ name: true }));
  const order = { maxUses: 1 };
  const maker = await another('many');
  for (let made = 0; made < 16; made += 1)
    accepted(await maker.ask('POST', '/v1/enrollment-groups/rolled/tokens', order), groupTokenResponse);
  const full = await ada.ask('POST', '/v1/enrollment-groups/rolled/tokens', order);
  assertRefused(full, { status: 409, code: 'conflict' });
  assert.equal((await ada.ask('POST', '/v1/tokens/many/revoke', {})).status, 200);
  accepted(await ada.ask('POST', '/v1/enrollment-groups/rolled/tokens', order), groupTokenResponse);
});

test('a token of before makers were kept is used until it expires', async () => {
  const { oneTime, maker } = await makers('older');
  const older = 'update enrolment_token set made_by = null where sha256 like ?';
  await changeStore(world.place, older, `${idOf(oneTime.token)}%`);
  assert.equal((await listed(maker)).get(idOf(oneTime.token))?.endsWith, null);
  assert.equal((await ada.ask('POST', '/v1/tokens/older/revoke', {})).status, 200);
  accepted(await enrollWith(oneTime.token), certificateResponse);
});

test('what the bootstrap made is the claiming person’s: it goes on, and ends with that token', async () => {
  await using fresh = await HubWorld.open();
  const bootstrap = await firstPerson(fresh);
  const order = async () =>
    accepted(await bootstrap.ask('POST', '/v1/enrollment-tokens', {}), enrollmentTokenResponse).token;
  const [first, second] = [await order(), await order()];
  const made = newToken();
  accepted(await bootstrap.ask('POST', '/v1/claim', { name: 'eva', sha256: made.sha256 }), claimResponse);
  const eva = new TestPerson(fresh, 'eva', made.token);
  const enroll = async (id: string, token: string) => {
    await using device = await TestDevice.withoutTpm(id, join(fresh.folder, id));
    return device.tryEnroll(fresh, token);
  };
  accepted(await enroll('press-1', first), certificateResponse);
  assert.equal((await eva.ask('POST', '/v1/tokens/claimed/revoke', {})).status, 200);
  assertRefused(await enroll('press-2', second), { status: 403, code: 'enrollment-refused' });
});
