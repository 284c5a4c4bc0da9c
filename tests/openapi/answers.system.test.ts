// Every route of both listeners, asked on a real hub as nobody, without permission, wrongly and rightly: each answer is in the OpenAPI
// document of its listener.
import assert from 'node:assert/strict';
import type { IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { HubRequest } from '@edgekeep/wire/link/exchange';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';
import type { Route } from '@edgekeep/hub/doors/http/route-table';
import { operatorRequests } from '../attacks/half-sent/operator-requests.ts';
import { zeroNonce } from '../support/device-link.ts';
import { HubWorld } from '../support/hub-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { documentOf, Held } from './held.ts';

const operatorDocument = documentOf('operator');

let world: HubWorld;
let token: string;
let asking: TestDevice;
before(async () => {
  world = await HubWorld.open();
  token = await world.adminToken();
  await world.publishModel('belt', '1.0.0', 'weights');
  const device = await TestDevice.withoutTpm('press-1', join(world.folder, 'press-1'));
  await device.enroll(world);
  asking = await TestDevice.withoutTpm('press-2', join(world.folder, 'press-2'));
  await asking.enroll(world);
});
after(() => world?.[Symbol.asyncDispose]());

const documented = (routes: readonly Route[]) =>
  routes.filter(({ method, url }) => method !== 'HEAD' && url !== '/openapi.json');

const known: Readonly<Record<string, string>> = { id: 'press-1', name: 'belt', version: '1.0.0', index: '0' };
const filled = (url: string) =>
  url.replaceAll(/:(\w+)/g, (_all, name: string) => known[name] ?? 'a'.repeat(64)).replace('*', '0/000');

interface Ask {
  readonly path: string;
  readonly body?: string;
  readonly contentType?: string;
  readonly token?: string;
}

test('each route of the operator listener answers what its document says: to nobody, to a caller without permission, to one who is wrong or right', async () => {
  const held = new Held(operatorDocument);
  const ask = async (route: Route, { path, ...input }: Ask) =>
    held.hold(route, await world.askOperator(route.method, path, input));
  const readers = await world.apiToken(['metrics:read']);
  const routes = documented(world.hub.routes.operator).map((route) => {
    const request: Ask = operatorRequests[`${route.method} ${route.url}`] ?? { path: filled(route.url) };
    return { route, request };
  });
  // A refusal of many waits for a second.
  for (let at = 0; at < routes.length; at += 10)
    await Promise.all(routes.slice(at, at + 10).map(({ route, request: { path } }) => ask(route, { path })));
  for (const { route, request } of routes) {
    const { path } = request;
    await ask(route, { path, token: readers });
    await ask(route, { path: `${path}${path.includes('?') ? '&' : '?'}limit=nothing&of=this`, token });
    if (route.method !== 'GET') {
      await ask(route, { path, token, body: '{"a":' });
      await ask(route, { path, token, body: 'a', contentType: 'text/plain' });
      await ask(route, { path, token, body: '{"nothing":"of this"}' });
    }
    await ask(route, { ...request, token });
  }
  assert.deepEqual(held.problems, []);
  const text = [...held.seen].toSorted().join('\n');
  assert.ok(held.count(200) > 60 && held.count(401) > 100 && held.count(403) > 90 && held.count(400) > 60, text);
});

test('each route of the device listener answers what its document says: to nobody, to a certificate, and to a bound device', async () => {
  const held = new Held(documentOf('device'));
  const open = (credential: TlsClientCredential | undefined) =>
    HubConnection.open({
      ...world.hub.deviceAddress,
      serverName: 'localhost',
      authoritiesPem: [world.hub.rootPem],
      credential,
    });
  const bodies = ['{}', '{"nothing":"of this"}', '{"a":'];
  for (const route of documented(world.hub.routes.device)) {
    const { method, url } = route;
    const path = filled(url);
    for (const who of ['nobody', 'certificate', 'bound']) {
      for (const body of method === 'GET' ? [undefined] : bodies) {
        await using connection = await open(who === 'nobody' ? undefined : asking.credential);
        if (who === 'bound') {
          const evidence = await asking.evidence('bind', zeroNonce, connection.binding);
          const bound = await connection.request(json('/v1/bind', JSON.stringify({ evidence })));
          assert.equal(bound.status, 200, Buffer.from(bound.body).toString());
        }
        held.hold(route, await connection.request(body === undefined ? { method: 'GET', path } : json(path, body)));
      }
    }
  }
  assert.deepEqual(held.problems, []);
  assert.ok(held.count(200) > 10 && held.count(401) > 15 && held.count(400) > 15, [...held.seen].toSorted().join('\n'));
});

function json(path: string, body: string): HubRequest {
  return { method: 'POST', path, body, headers: { 'content-type': 'application/json' } };
}

test('an answer that the document does not have is found, by its status, media type, header or body', () => {
  const list = { method: 'GET', url: '/v1/groups' };
  const problems = (status: number, headers: IncomingHttpHeaders, body: string) =>
    operatorDocument.problemsOf(list.method, list.url, { status, headers, body: Buffer.from(body) });
  const type = { 'content-type': 'application/json; charset=utf-8' };
  assert.deepEqual(problems(200, type, '{"groups":[]}'), []);
  assert.match(problems(200, type, '{"groups":[],"more":1}').join(), /additional properties/);
  assert.match(problems(200, type, '{"groups":{}}').join(), /must be array/);
  assert.match(problems(200, { 'content-type': 'text/plain' }, '').join(), /text\/plain is not in the document/);
  assert.match(problems(418, type, '{}').join(), /not in the document/);
  const refusal = JSON.stringify({ error: { code: 'rate-limited', message: 'm', reasons: [] } });
  assert.deepEqual(problems(429, { ...type, 'retry-after': '1' }, refusal), []);
  assert.match(problems(429, type, refusal).join(), /no Retry-After/);
  assert.match(
    problems(429, { ...type, 'retry-after': '1' }, refusal.replace('rate-limited', 'other')).join(),
    /allowed values/,
  );
});
