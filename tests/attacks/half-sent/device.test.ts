// A device's request that was let in, and whose last byte arrives after the device, its certificate or its permission is gone, changes
// nothing.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { halfOn } from '../../support/half-request.ts';
import { HubWorld } from '../../support/hub-world.ts';
import { firstPerson, type TestPerson } from '../../support/people.ts';
import { policyForAnyTier as policy } from '../../support/software-world.ts';
import { TestDevice } from '../../support/test-device.ts';
import { deviceRequests, type Prepare, strangerRoutes } from './device-requests.ts';
import { changeStore } from '../../support/edited-store.ts';
import { loggedIn, rowsIn } from '../../support/outside-store.ts';

async function openWorld() {
  await using opened = new AsyncDisposableStack();
  const world = opened.use(await HubWorld.open());
  await world.publishModel('belt', '1.0.0', 'weights');
  // A different device for each route: one identity is in one place.
  const fleet: { readonly route: string; readonly prepare: Prepare; readonly device: TestDevice }[] = [];
  for (const { route, prepare } of changing(world)) {
    const id = `press-${fleet.length}`;
    const device = opened.use(await TestDevice.withoutTpm(id, join(world.folder, id)));
    await device.enroll(world);
    fleet.push({ route, prepare, device });
  }
  const ids = fleet.map(({ device }) => device.id);
  const ada = await firstPerson(world);
  const applied = await ada.ask('PUT', '/v1/policy', { text: policy });
  assert.equal(applied.status, 200, Buffer.from(applied.body).toString());
  for (const device of ids)
    assert.equal((await ada.ask('POST', '/v1/workloads', { name: 'scan', device })).status, 200);
  const all = opened.move();
  return { world, ada, fleet, ids, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

function changing(world: HubWorld) {
  return world.hub.routes.device
    .filter(
      ({ method, url }) => !['GET', 'HEAD', 'OPTIONS'].includes(method) && !strangerRoutes.has(`${method} ${url}`),
    )
    .map(({ method, url }) => {
      const route = `${method} ${url}`;
      const prepare = deviceRequests[route];
      assert.ok(prepare !== undefined, `${route} has no request in tests/attacks/half-sent/device-requests.ts`);
      return { route, prepare };
    });
}

/** What a device changes: keys, certificates, its own entries, and the time of its last appraisal. */
async function traces({ place }: HubWorld, binding: string): Promise<object> {
  const [counts] = await rowsIn(
    place,
    `select (select count(*) from lease) as leases, (select count(*) from certificate) as certificates,
       (select count(*) from device_attribute where side = 'reported') as attributes`,
  );
  const appraised = await rowsIn(place, 'select id, appraised_at from device where id <> ? order by id', binding);
  const logged = z.array(z.object({ actor: z.string(), kind: z.string() })).parse(await loggedIn(place));
  const own = logged.filter(({ actor, kind }) => actor.startsWith('device:') && kind !== 'access-refused');
  return { ...counts, appraised: [...appraised], entries: own.length };
}

const order = async (ada: TestPerson, path: string, body: object) => {
  const answer = await ada.ask('POST', path, body);
  assert.equal(answer.status, 200, Buffer.from(answer.body).toString());
};

const each = async (ids: readonly string[], act: (id: string) => Promise<void>) => {
  for (const id of ids) await act(id);
};

const ends: readonly {
  readonly name: string;
  readonly end: (ada: TestPerson, ids: readonly string[], world: HubWorld) => Promise<unknown>;
}[] = [
  {
    name: 'the device was quarantined',
    end: (ada, ids) => each(ids, (id) => order(ada, `/v1/devices/${id}/quarantine`, { reason: 'r' })),
  },
  {
    name: 'the device was disabled',
    end: (ada, ids) => each(ids, (id) => order(ada, `/v1/devices/${id}/disable`, { reason: 'r' })),
  },
  {
    name: 'the device was retired',
    end: (ada, ids) => each(ids, (id) => order(ada, `/v1/devices/${id}/retire`, { reason: 'r' })),
  },
  {
    name: 'its certificate was revoked',
    end: (ada, ids) => order(ada, '/v1/certificates/revoke', { devices: [...ids], reason: 'keyCompromise', note: 'n' }),
  },
  {
    name: 'another policy came into force',
    end: async (ada) => {
      const text = `${policy}\n@id("not-it") forbid (principal is Edgekeep::Device, action, resource);`;
      const applied = await ada.ask('PUT', '/v1/policy', { text });
      assert.equal(applied.status, 200, Buffer.from(applied.body).toString());
    },
  },
  {
    // Another node of the hub wrote this: nothing cuts the connections here, so only the transaction refuses.
    name: 'the store says that the device is quarantined, and its connections live on',
    end: (_ada, _ids, world) => changeStore(world.place, "update device set state = 'quarantined', state_reason = 'r'"),
  },
  {
    name: 'the store says that the certificate is revoked, and its connections live on',
    end: (_ada, _ids, world) => changeStore(world.place, 'update certificate set revoked_at = 1'),
  },
];

// SECURITY.md: HUB-12
test('every changing route of the device listener is fired, and acts for a device in good standing', async () => {
  await using opened = await openWorld();
  const { world, fleet } = opened;
  for (const { route, prepare, device } of fleet) {
    const { connection, request } = await prepare(world, device);
    const { status, text } = await halfOn(connection.socket, request).finish();
    // A wrong cosignature, an unknown root and EST for a device with a root of trust are refused by their handlers.
    const refusedByHandler = [
      'note-invalid',
      'cosignature-refused',
      'not-found',
      'renewal-refused',
      'the request must have the subject',
    ];
    assert.ok(status === 200 || refusedByHandler.some((code) => text.includes(code)), `${route}: ${text}`);
  }
});

for (const { name, end } of ends) {
  test(`no route acts for a device's request that was half sent when ${name}`, async () => {
    await using opened = await openWorld();
    const { world, ada, fleet, ids } = opened;
    const halves = [];
    for (const { route, prepare, device } of fleet) {
      const { connection, request } = await prepare(world, device);
      halves.push({ route, half: halfOn(connection.socket, request) });
    }
    await Promise.all(halves.map(({ half }) => half.letIn));
    assert.equal((await ada.ask('GET', '/v1/people')).status, 200);
    await end(ada, ids, world);
    // Evidence in a bind is recorded before the policy is asked; it gives no access.
    const binding = fleet.find(({ route }) => route === 'POST /v1/bind')?.device.id ?? '';
    const before = await traces(world, binding);
    for (const { route, half } of halves) {
      const { status, text } = await half.finish();
      // These change nothing but their own connection, and the next step on it is refused.
      const harmless = ['POST /v1/challenges', 'POST /v1/hybrid-key/challenge'].includes(route) && status === 200;
      const refused = status === undefined || [401, 403].includes(status);
      const wrong = ['POST /v1/cosignatures', 'POST /v1/authorities/known'].includes(route) && status !== 200;
      assert.ok(refused || harmless || wrong, `${route}: ${text}`);
    }
    assert.deepEqual(await traces(world, binding), before);
  });
}
