// A service's token ends with its maker, unless two people gave it another one before.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alertList } from '@edgekeep/wire/api/alert';
import { apiTokenResponse, personDisabled, tokenView } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { edgekeep } from './main-job/edgekeep.ts';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { addPerson, firstPerson, newToken, registration, TestPerson } from './support/people.ts';
import { changeStore } from './support/edited-store.ts';

const made = apiTokenResponse.extend({ token: z.string() });

async function openWorld() {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await HubWorld.open());
  const ada = await firstPerson(world);
  const ben = await addPerson(world, 'ben');
  const all = opened.move();
  return { world, ada, ben, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

const serviceOf = async (person: TestPerson, name: string, lifeSeconds = 3_600) =>
  accepted(
    await person.ask('POST', '/v1/tokens', { name, scopes: ['devices:read'], service: true, lifeSeconds }),
    made,
  );
const statusOf = async (world: HubWorld, { token }: { readonly token: string }) =>
  (await world.askOperator('GET', '/v1/devices', { token })).status;
const path = (id: string) => `/v1/tokens/${id}/hand-over`;

// SECURITY.md: HUB-08
test('a service ends when its maker is disabled, and goes on where two people handed it over before', async () => {
  await using opened = await openWorld();
  const { world, ada, ben } = opened;
  const left = await serviceOf(ben, 'left');
  const handed = await serviceOf(ben, 'handed');
  const asked = await edgekeep('token', 'hand-over', handed.id, '--operator', world.operatorFile);
  assert.equal(asked.code, 1);
  const [, id = ''] = /edgekeep approval show ([0-9a-f-]{36})/.exec(asked.stderr) ?? [];
  assert.equal((await ben.approve(await ada.approval(id))).status, 200);
  const disabled = await ada.ask('POST', '/v1/people/ben/disable', { reason: 'left' });
  // Their own token, and the service's token that nobody took over.
  assert.equal(accepted(disabled, personDisabled).tokensEnded, 2);
  assert.deepEqual([await statusOf(world, left), await statusOf(world, handed)], [401, 200]);
  const [entry] = await world.entries('api-token-handed-over');
  assert.equal(entry?.actor, 'person:admin with person:ben');
});

// SECURITY.md: HUB-08
test('one person alone hands nothing over', async () => {
  await using opened = await openWorld();
  const { world, ada, ben } = opened;
  const service = await serviceOf(ben, 'ci');
  const waiting = await ada.waits('POST', path(service.id));
  assertRefused(await ada.approve(waiting), { status: 403, code: 'approval-refused' });
  assert.equal((await world.entries('api-token-handed-over')).length, 0);
});

test('a service that was handed over ends no later than before, and no later than its new maker', async () => {
  await using opened = await openWorld();
  const { world, ada, ben } = opened;
  const endOf = async (id: string) => accepted(await ada.ask('GET', `/v1/tokens/${id}`), tokenView).expiresAt;
  const short = await serviceOf(ben, 'short', 60);
  assert.equal((await ben.approve(await ada.waits('POST', path(short.id)))).status, 200);
  assert.equal(await endOf(short.id), short.expiresAt);
  const own = newToken();
  const order = registration('admin', own, 'administrator', 600);
  assert.equal((await ben.approve(await ada.waits('POST', '/v1/tokens', order))).status, 200);
  const long = await serviceOf(ben, 'long');
  const brief = new TestPerson(world, 'admin', own.token);
  assert.equal((await ben.approve(await brief.waits('POST', path(long.id)))).status, 200);
  assert.equal(await endOf(long.id), await endOf(own.sha256.slice(0, 16)));
});

test('a token of a person, one that has ended, and one that is not there are not handed over', async () => {
  await using opened = await openWorld();
  const { world, ada, ben } = opened;
  const personal = accepted(
    await ben.ask('POST', '/v1/tokens', { name: 'own', scopes: ['devices:read'], lifeSeconds: 60 }),
    made,
  );
  const ended = await serviceOf(ben, 'ended', 60);
  assert.equal((await ben.ask('POST', `/v1/tokens/${ended.id}/revoke`, {})).status, 200);
  assertRefused(await ada.ask('POST', path(personal.id)), { status: 409, code: 'conflict' });
  for (const id of [ended.id, '0'.repeat(16)])
    assertRefused(await ada.ask('POST', path(id)), { status: 404, code: 'not-found' });
  // One that ends while it waits.
  const ending = await serviceOf(ben, 'ending', 60);
  const asked = await ada.waits('POST', path(ending.id));
  assert.equal((await ben.ask('POST', `/v1/tokens/${ending.id}/revoke`, {})).status, 200);
  const outcome = accepted(await ben.approve(asked), z.object({ state: z.string(), status: z.number() }));
  assert.deepEqual(outcome, { state: 'failed', status: 404 });
  const service = await serviceOf(ada, 'asks');
  const asks = await world.askOperator('POST', path(service.id), { token: service.token });
  assert.equal(asks.status, 403);
});

// SECURITY.md: HUB-08
test('a service without a maker is an alert until it is handed over', async () => {
  await using opened = await openWorld();
  const { world, ada, ben } = opened;
  const service = await serviceOf(ben, 'ci');
  const alerts = async () => {
    await world.hub.sweepAuthorities();
    const query = new URLSearchParams({ kind: 'service-token-orphaned' }).toString();
    return (await world.operator.get(`/v1/alerts?${query}`, alertList)).alerts.map(({ title }) => title);
  };
  assert.deepEqual(await alerts(), []);
  // As an upgrade leaves it.
  await changeStore(world.place, 'update api_token set derived_from = null where name = ?', 'ci');
  const expected = `the maker of the service ci (token ${service.id}) has ended: hand it over or revoke it`;
  assert.deepEqual(await alerts(), [expected]);
  assert.deepEqual(await alerts(), [expected], 'once');
  assert.equal((await ben.approve(await ada.waits('POST', path(service.id)))).status, 200);
  assert.deepEqual(await alerts(), []);
});
