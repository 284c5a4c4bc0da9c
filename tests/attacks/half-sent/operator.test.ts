// A request of the operator API that was let in, and whose last byte arrives after its authority is gone, changes nothing: on any route,
// for any way to end the authority.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { halfToOperator } from '../../support/half-request.ts';
import { HubWorld } from '../../support/hub-world.ts';
import { addPerson, firstPerson, newToken, type TestPerson } from '../../support/people.ts';
import { TestDevice } from '../../support/test-device.ts';
import { type OperatorRequest, operatorRequests, publicRoutes } from './operator-requests.ts';
import { changeStore, editStore } from '../../support/edited-store.ts';
import { loggedIn } from '../../support/outside-store.ts';

/** Mallory, as several people, holds tokens with every scope; Ada, another one, ends them. */
async function openWorld(): Promise<{
  readonly world: HubWorld;
  readonly ada: TestPerson;
  readonly ben: TestPerson;
  readonly mallory: TestPerson;
  /** A token of one of the Mallories for the nth request. */
  readonly tokenFor: (n: number) => string;
  [Symbol.asyncDispose](): Promise<void>;
}> {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await HubWorld.open());
  await world.publishModel('belt', '1.0.0', 'weights');
  const device = opened.use(await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1')));
  await device.enroll(world);
  await beginRelease(world);
  const ada = await firstPerson(world);
  assert.equal((await ada.ask('POST', '/v1/groups', { name: 'presses' })).status, 200);
  const mallory = await addPerson(world, 'mallory');
  const ben = await addPerson(world, 'ben', { second: mallory });
  const tokens = [mallory.token, ...(await moreTokens(world))];
  const tokenFor = (n: number) => tokens[Math.floor(n / bodiesAtOnce)] ?? assert.fail('too few tokens');
  const all = opened.move();
  return { world, ada, ben, mallory, tokenFor, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

// Fewer than the hub reads at once for one person.
const bodiesAtOnce = 12;

const others = Array.from({ length: 9 }, (_, at) => `mallory-${at + 1}`);
const mallories = ['mallory', ...others];

// More people with a token like hers.
async function moreTokens({ place }: HubWorld): Promise<readonly string[]> {
  const made = others.map((person) => ({ person, ...newToken() }));
  await editStore(place, async (store) => {
    const insert = `insert into api_token (sha256, name, person, roles, scopes, created_at, created_by, expires_at)
      select ?, name, ?, roles, scopes, created_at, created_by, expires_at from api_token where person = 'mallory' limit 1`;
    for (const { person, sha256 } of made) {
      await store.run('insert into person (name, added_at) values (?, 1)', person);
      await store.run(insert, sha256, person);
    }
  });
  return made.map(({ token }) => token);
}

// Another version of the same model, which waits for its file.
async function beginRelease({ place }: HubWorld): Promise<void> {
  await changeStore(
    place,
    `insert into model_release (name, version, state, manifest, manifest_digest, signature, publisher, wrapped_key, created_at)
     select name, '2.0.0', 'uploading', manifest, manifest_digest, signature, publisher, wrapped_key, created_at from model_release`,
  );
}

function changing(world: HubWorld): readonly (readonly [string, OperatorRequest])[] {
  return world.hub.routes.operator
    .filter(({ method, url }) => !['GET', 'HEAD', 'OPTIONS'].includes(method) && !publicRoutes.has(`${method} ${url}`))
    .map(({ method, url }) => {
      const route = `${method} ${url}`;
      const request = operatorRequests[route];
      assert.ok(request !== undefined, `${route} has no request in tests/attacks/half-sent/operator-requests.ts`);
      return [route, request] as const;
    });
}

const methodOf = (route: string) => route.slice(0, route.indexOf(' '));
const typeOf = ({ contentType = 'application/json' }: OperatorRequest) => contentType;

async function written(world: HubWorld): Promise<number> {
  const entries = (await loggedIn(world.place)).map((entry) => JSON.stringify(entry));
  return entries.filter((text) => text.includes('person:mallory') && !text.includes('access-refused')).length;
}

interface HalfSentEnd {
  readonly name: string;
  readonly end: (world: HubWorld, ada: TestPerson, ben: TestPerson) => Promise<unknown>;
  readonly status: number;
}

const withoutMallory = mallories
  .map(
    (name) =>
      `@id("not-${name}") forbid (principal in Edgekeep::Person::"${name}", action == Edgekeep::Action::"administer", resource);`,
  )
  .join('\n');

const ends: readonly HalfSentEnd[] = [
  {
    name: 'the token was revoked',
    end: async (_world, ada) => {
      const { tokens } = JSON.parse(Buffer.from((await ada.ask('GET', '/v1/tokens')).body).toString());
      for (const { id, person } of tokens)
        if (mallories.includes(person)) assert.equal((await ada.ask('POST', `/v1/tokens/${id}/revoke`)).status, 200);
    },
    status: 401,
  },
  {
    name: 'the person was disabled',
    end: async (_world, ada) => {
      for (const name of mallories)
        assert.equal((await ada.ask('POST', `/v1/people/${name}/disable`, { reason: 'a thief' })).status, 200);
    },
    status: 401,
  },
  {
    name: 'another policy came into force',
    end: async (_world, ada, ben) => {
      const { text } = JSON.parse(Buffer.from((await ada.ask('GET', '/v1/policy')).body).toString());
      const kept = await ada.waits('PUT', '/v1/policy', { text: `${text}\n${withoutMallory}` });
      const { body } = await ben.approve(kept);
      assert.match(Buffer.from(body).toString(), /"executed"/);
    },
    status: 403,
  },
  { name: 'the token ended', end: async (world) => world.clock.advanceSeconds(86_401), status: 401 },
];

// SECURITY.md: HUB-12
test('every changing route of the operator listener is fired, and acts for a token that counts', async () => {
  await using opened = await openWorld();
  const { world, mallory } = opened;
  for (const [route, request] of changing(world)) {
    const headers = { authorization: `Bearer ${mallory.token}`, 'content-type': typeOf(request) };
    const half = await halfToOperator(world.hub, {
      method: methodOf(route),
      path: request.path,
      headers,
      body: request.body,
    });
    const { status, text: answer } = await half.finish();
    const text = `${route}: ${answer}`;
    // A refusal of the form would hide the refusal that the others test.
    const meetsHandler =
      status !== undefined && ![401, 403, 413, 415, 429, 500].includes(status) && !text.includes('the request/');
    // Root operations wait for a second person: at most twenty at a time.
    assert.ok(meetsHandler || /publisher-untrusted|wait already/.test(text), text);
  }
});

for (const { name, end, status } of ends) {
  test(`no route acts for a request that was half sent when ${name}`, async () => {
    await using opened = await openWorld();
    const { world, ada, ben, tokenFor } = opened;
    const halves = [];
    for (const [n, [route, request]] of changing(world).entries()) {
      const headers = { authorization: `Bearer ${tokenFor(n)}`, 'content-type': typeOf(request) };
      const half = await halfToOperator(world.hub, {
        method: methodOf(route),
        path: request.path,
        headers,
        body: request.body,
      });
      halves.push({ route, half });
    }
    await Promise.all(halves.map(({ half }) => half.letIn));
    // After all of them: everything that their door reads has been read.
    assert.equal((await ada.ask('GET', '/v1/people')).status, 200);
    await end(world, ada, ben);
    const before = await written(world);
    for (const { route, half } of halves) {
      const answer = await half.finish();
      assert.equal(answer.status, status, `${route}: ${answer.text}`);
    }
    assert.equal(await written(world), before);
  });
}
