// API tokens in the hands of an attacker who wants more than they were given: wider, longer, another person's, or after the end.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import {
  apiTokenResponse,
  apiTokenRevoked,
  personDisabled,
  personList,
  tokenList,
  tokenView,
} from '@edgekeep/wire/api/people';
import { expiry } from '@edgekeep/wire/api/revocation';
import { z } from 'zod';
import { accepted, type Answer, assertRefused } from '../support/answer.ts';
import { HubWorld } from '../support/hub-world.ts';

const made = apiTokenResponse.extend({ token: z.string() });

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

function ask(token: string, method: string, path: string, body?: object): Promise<Answer> {
  return world.askOperator(method, path, { token, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
}

async function tokenOf(token: string, body: object): Promise<z.infer<typeof made>> {
  return accepted(await ask(token, 'POST', '/v1/tokens', { name: 'mine', ...body }), made);
}

const own = { scopes: ['devices:read', 'tokens:write'], lifeSeconds: 3_600 };

// SECURITY.md: HUB-06
test('a token makes others with at most its own scopes, for its own holder, ending no later than itself', async () => {
  const { token } = await tokenOf(await world.adminToken(), own);
  const narrower = await tokenOf(token, { scopes: ['devices:read'], lifeSeconds: 60 });
  assert.equal((await ask(narrower.token, 'GET', '/v1/devices')).status, 200);
  for (const [body, says] of [
    [{ scopes: ['admin'] }, /admin/],
    [{ scopes: ['devices:read', 'devices:write'] }, /devices:write/],
    [{ roles: ['viewer'] }, /models:read/],
    [{ roles: ['administrator'] }, /admin/],
    [{ scopes: ['devices:read'], service: true }, /services/],
    [{ scopes: ['devices:read'], person: 'somebody', sha256: '0'.repeat(64) }, /others/],
  ] as const) {
    const answer = await ask(token, 'POST', '/v1/tokens', { name: 'more', lifeSeconds: 60, ...body });
    assertRefused(answer, { status: 403, code: 'scope-missing', says });
  }
  const longer = await ask(token, 'POST', '/v1/tokens', { name: 'x', scopes: ['devices:read'], lifeSeconds: 86_400 });
  assertRefused(longer, { status: 400, code: 'request-invalid', says: /no later/ });
});

// SECURITY.md: HUB-06
test('what a token made for itself ends with it, at any depth', async () => {
  const admin = await world.adminToken();
  const first = await tokenOf(admin, own);
  const second = await tokenOf(first.token, { ...own, lifeSeconds: 600 });
  const third = await tokenOf(second.token, { scopes: ['devices:read'], lifeSeconds: 60 });
  const { revoked } = accepted(await ask(admin, 'POST', `/v1/tokens/${first.id}/revoke`, {}), apiTokenRevoked);
  assert.equal(revoked, 3);
  for (const { token } of [first, second, third])
    assertRefused(await ask(token, 'GET', '/v1/devices'), { status: 401, code: 'token-refused' });
});

// SECURITY.md: HUB-06
test('a chain of tokens, each made by the one before, ends whole with its first, however long it is', async () => {
  const first = await tokenOf(await world.adminToken(), own);
  let last = first;
  for (let depth = 0; depth < 150; depth += 1) last = await tokenOf(last.token, { scopes: own.scopes });
  assert.equal((await ask(last.token, 'GET', '/v1/devices')).status, 200);
  accepted(await ask(await world.adminToken(), 'POST', `/v1/tokens/${first.id}/revoke`, {}), apiTokenRevoked);
  assertRefused(await ask(last.token, 'GET', '/v1/devices'), { status: 401, code: 'token-refused' });
});

test('without admin a token sees and ends only what belongs to its own person', async () => {
  const admin = await world.adminToken();
  const service = await tokenOf(admin, { name: 'ci', scopes: ['tokens:write'], service: true });
  const page = accepted(await ask(service.token, 'GET', '/v1/tokens'), tokenList);
  assert.deepEqual(page.tokens, []);
  const { id } = await tokenOf(admin, own);
  assertRefused(await ask(service.token, 'GET', `/v1/tokens/${id}`), { status: 404, code: 'not-found' });
  for (const name of ['admin', id])
    assertRefused(await ask(service.token, 'POST', `/v1/tokens/${name}/revoke`, {}), {
      status: 404,
      code: 'not-found',
    });
});

// SECURITY.md: HUB-06
test('a token for somebody else is registered by its hash, and is never shown to who registers it', async () => {
  const admin = await world.adminToken();
  accepted(await ask(admin, 'POST', '/v1/people', { name: 'ben' }), z.object({ name: z.literal('ben') }));
  const order = { name: 'desk', roles: ['viewer'], person: 'ben' };
  assertRefused(await ask(admin, 'POST', '/v1/tokens', order), {
    status: 400,
    code: 'request-invalid',
    says: /SHA-256/,
  });
  const token = `ek_${randomBytes(32).toString('base64url')}`;
  const sha256 = createHash('sha256').update(token).digest('hex');
  const answer = accepted(await ask(admin, 'POST', '/v1/tokens', { ...order, sha256 }), apiTokenResponse);
  assert.equal(answer.token, null);
  assert.equal((await ask(token, 'GET', '/v1/devices')).status, 200);
  assertRefused(await ask(admin, 'POST', '/v1/tokens', { ...order, sha256 }), { status: 409, code: 'conflict' });
  const nobody = { ...order, person: 'nobody', sha256: '1'.repeat(64) };
  assertRefused(await ask(admin, 'POST', '/v1/tokens', nobody), { status: 404, code: 'not-found' });
});

test('when a person is disabled all their tokens end, they get no others, and being enabled brings none back', async () => {
  const admin = await world.adminToken();
  accepted(await ask(admin, 'POST', '/v1/people', { name: 'eve' }), z.object({ name: z.string() }));
  const token = `ek_${randomBytes(32).toString('base64url')}`;
  const sha256 = createHash('sha256').update(token).digest('hex');
  const order = { name: 'desk', roles: ['operator'], person: 'eve', sha256 };
  accepted(await ask(admin, 'POST', '/v1/tokens', order), apiTokenResponse);
  const derived = await tokenOf(token, { scopes: ['devices:read'], lifeSeconds: 60 });
  const disabled = await ask(admin, 'POST', '/v1/people/eve/disable', { reason: 'a test' });
  assert.equal(accepted(disabled, personDisabled).tokensEnded, 2);
  for (const each of [token, derived.token])
    assertRefused(await ask(each, 'GET', '/v1/devices'), { status: 401, code: 'token-refused' });
  const another = { ...order, sha256: '2'.repeat(64) };
  assertRefused(await ask(admin, 'POST', '/v1/tokens', another), { status: 409, code: 'conflict', says: /disabled/ });
  assert.equal((await ask(admin, 'POST', '/v1/people/eve/enable', {})).status, 200);
  assertRefused(await ask(token, 'GET', '/v1/devices'), { status: 401, code: 'token-refused' });
  const { people } = accepted(await ask(admin, 'GET', '/v1/people'), personList);
  assert.equal(people.find(({ name }) => name === 'eve')?.tokens, 0);
  const [entry] = await world.entries('person-disabled');
  assert.equal(entry?.actor, 'person:admin/admin');
});

test('the last use of a token is kept to the minute, with the address, over a restart of the hub', async () => {
  const { token, id } = await tokenOf(await world.adminToken(), { scopes: ['devices:read'] });
  const usedAt = world.clock.now();
  assert.equal((await ask(token, 'GET', '/v1/devices')).status, 200);
  const soonest = world.clock.now();
  world.clock.advanceSeconds(50);
  assert.equal((await ask(token, 'GET', '/v1/devices')).status, 200);
  await world.restart();
  const view = async () => accepted(await ask(await world.adminToken(), 'GET', `/v1/tokens/${id}`), tokenView);
  const first = (await view()).lastUsedAt ?? 0;
  assert.ok(first >= usedAt && first <= soonest, 'the second use within the minute was written, or none was');
  assert.match((await view()).lastUsedFrom ?? '', /127\.0\.0\.1/);
  world.clock.advanceSeconds(10);
  const usedAgainAt = world.clock.now();
  // A refused request counts as a use too.
  assertRefused(await ask(token, 'GET', '/v1/people'), { status: 403, code: 'scope-missing' });
  await world.restart();
  assert.ok(((await view()).lastUsedAt ?? 0) >= usedAgainAt);
});

test('a life beyond the setting is refused, and an end that comes near is warned of', async () => {
  const admin = await world.adminToken();
  const { id } = await tokenOf(admin, { name: 'short', scopes: ['devices:read'], lifeSeconds: 600 });
  const ends = async () =>
    accepted(await ask(admin, 'GET', '/v1/expiry'), expiry).tokens.find(({ name }) => name === 'admin/short');
  assert.equal((await ends())?.warning, false);
  world.clock.advanceSeconds(550);
  assert.equal((await ends())?.warning, true);
  world.clock.advanceSeconds(60);
  assert.equal(await ends(), undefined);
  assert.ok(id);
  await using strict = await HubWorld.open({ settings: { tokens: { maxLifeDays: 1 } } });
  const body = JSON.stringify({ name: 'x', scopes: ['devices:read'], lifeSeconds: 86_401 });
  const answer = await strict.askOperator('POST', '/v1/tokens', { token: await strict.adminToken(), body });
  assertRefused(answer, { status: 400, code: 'request-invalid', says: /1 days/ });
});

test('a name that could be mistaken in the log is refused', async () => {
  const admin = await world.adminToken();
  for (const name of ['a b', 'person:ben', 'x/y', '', 'é', '-x', 'x'.repeat(65)]) {
    const answer = await ask(admin, 'POST', '/v1/tokens', { name, scopes: ['devices:read'] });
    assertRefused(answer, { status: 400, code: 'request-invalid' });
  }
  for (const name of ['Ben', 'b en', 'ben/desk', '', 'x'.repeat(41)])
    assertRefused(await ask(admin, 'POST', '/v1/people', { name }), { status: 400, code: 'request-invalid' });
});
