// What only valid requests reach is in the OpenAPI documents, too: a device from its enrollment to its key, and requests of one person that wait
// for a second one.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '@edgekeep/hub/doors/http/route-table';
import { operatorRequests } from '../attacks/half-sent/operator-requests.ts';
import { accepted } from '../support/answer.ts';
import { DeviceLink } from '../support/device-link.ts';
import { HubWorld, newPublisher, publicPem } from '../support/hub-world.ts';
import { addPerson, firstPerson, newToken, registration } from '../support/people.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { documentOf, Held } from './held.ts';
import { releaseResponse } from '@edgekeep/wire/api/access';

/** The route of an address that was asked; named segments match any text. */
function routeOf(routes: readonly Route[], method: string, path: string): Route {
  const address = path.split('?', 1)[0] ?? '';
  const fits = ({ url }: Route) =>
    new RegExp(
      `^${url
        .replaceAll('.', String.raw`\.`)
        .replaceAll(/:\w+/g, '[^/]+')
        .replace('*', '.+')}$`,
    ).test(address);
  const found = routes.filter((route) => route.method === method && fits(route));
  const route = found.find(({ url }) => url === address) ?? found[0];
  if (route === undefined) throw new TypeError(`no route ${method} ${path}`);
  return route;
}

test('a device is answered as the document says, from its enrollment to its key and its next certificates', async () => {
  const held = new Held(documentOf('device'));
  let routes: readonly Route[] = [];
  const asked: (() => void)[] = [];
  using watching = new DisposableStack();
  watching.use(
    DeviceLink.watch(({ method, path, answer }) => {
      asked.push(() => held.hold(routeOf(routes, method, path), answer));
    }),
  );
  await using opened = await SoftwareWorld.open();
  const { world, device, link } = opened;
  routes = world.hub.routes.device;
  await world.publishModel('opaque', '1.0.0', 'weights');
  const { receipt: _receipt, ...released } = accepted(
    await device.askForBoundKey(link, 'opaque', '1.0.0'),
    releaseResponse,
  );
  assert.ok(Object.keys(released).length > 0);
  await device.attest(link);
  await link.ask('GET', '/v1/models/opaque');
  await link.ask('GET', '/v1/whoami');
  await device.renew(link);
  await device.recover(world.hub);
  for (const hold of asked) hold();
  assert.deepEqual(held.problems, []);
  const done = held.routesWith(200);
  for (const route of ['enroll/challenge', 'enroll/complete', 'bind', 'challenges', 'attest', 'releases', 'renew'])
    assert.ok(done.includes(`POST /v1/${route}`), done.join(' '));
  assert.ok(done.includes('POST /v1/recover/complete') && done.includes('GET /v1/models/:name'), done.join(' '));
});

test('a request that waits for a second person is answered as the document says, and so is its approval', async () => {
  await using world = await HubWorld.open();
  const ada = await firstPerson(world);
  const ben = await addPerson(world, 'ben');
  const held = new Held(documentOf('operator'));
  const bodies: Readonly<Record<string, object>> = {
    'POST /v1/publishers': { name: 'another', publicKey: publicPem(newPublisher()) },
    'POST /v1/tokens': registration('ben', newToken()),
    'POST /v1/people': { name: 'cleo' },
  };
  for (const route of world.hub.routes.operator) {
    const name = `${route.method} ${route.url}`;
    const request = operatorRequests[name];
    if (request === undefined) continue;
    const body = bodies[name] === undefined ? request.body : JSON.stringify(bodies[name]);
    held.hold(route, await world.askOperator(route.method, request.path, { ...request, body, token: ada.token }));
  }
  assert.deepEqual(held.problems, []);
  const waiting = held.routesWith(202);
  for (const name of Object.keys(bodies)) assert.ok(waiting.includes(name), waiting.join('\n'));
  const route = { method: 'POST', url: '/v1/approvals/:id/approve' };
  const asked = await ada.waits('POST', '/v1/publishers', {
    name: 'a third',
    publicKey: publicPem(newPublisher()),
  });
  held.hold(route, await ada.approve(asked));
  held.hold(route, await ben.approve(asked));
  held.hold(route, await ben.approve(asked));
  assert.deepEqual(held.problems, []);
  for (const status of [200, 403, 409])
    assert.ok(held.seen.has(`${route.method} ${route.url} ${status}`), [...held.seen].join('\n'));
});
