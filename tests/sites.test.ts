// Sites over a real hub: made, changed, deleted, devices moved and found, and invalid sites refused.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { deviceList } from '@edgekeep/wire/api/device-view';
import * as api from '@edgekeep/wire/api/site';
import { assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestDevice } from './support/test-device.ts';

let world: HubWorld;

before(async () => {
  world = await HubWorld.open();
  for (const id of ['press-1', 'press-2', 'oven-1']) {
    await using device = await TestDevice.withoutTpm(id, join(world.folder, id));
    await device.enroll(world);
  }
});
after(() => world?.[Symbol.asyncDispose]());

const graz = {
  name: 'graz',
  timeZone: 'Europe/Vienna',
  networks: ['10.1.0.0/16', '2001:db8:1::/48'],
  country: 'AT',
  position: { latitude: 47.0707, longitude: 15.4395, radius: 800 },
  zone: '3.5',
} as const;

const make = async (site: object) => world.operator.send('POST', '/v1/sites', site, api.siteView);
const move = async (name: string, order: object) =>
  world.operator.send('POST', `/v1/sites/${name}/devices`, order, api.siteDevicesResponse);

async function found(filter: string): Promise<readonly string[]> {
  const path = `/v1/devices?filter=${encodeURIComponent(filter)}`;
  return (await world.operator.get(path, deviceList)).devices.map(({ id }) => id);
}

test('a site is what was said of it, and a device is at one site or at none', async () => {
  const { createdAt, ...made } = await make(graz);
  assert.ok(createdAt > 0);
  assert.deepEqual(made, { description: '', ...graz });
  const { timeZone, zone, position } = await make({ name: 'linz' });
  assert.deepEqual([timeZone, zone, position], ['UTC', null, null]);
  assert.deepEqual(await move('graz', { add: ['press-1', 'press-2'] }), { name: 'graz', added: 2, removed: 0 });
  assert.deepEqual(await move('linz', { add: ['press-2', 'press-2'] }), { name: 'linz', added: 1, removed: 0 });
  assert.deepEqual(await move('graz', { remove: ['press-2'] }), { name: 'graz', added: 0, removed: 0 });
  assert.equal((await world.operator.get('/v1/sites/graz', api.siteDetail)).devices, 1);
  assert.equal((await world.device('press-2')).site, 'linz');
});

test('a filter finds devices by their site, those without one included where it asks for that', async () => {
  assert.deepEqual(await found('site==graz'), ['press-1']);
  assert.deepEqual(await found('site=in=(graz,linz)'), ['press-1', 'press-2']);
  assert.deepEqual(await found('site!=graz'), ['oven-1', 'press-2']);
  assert.deepEqual(await found('site=ex=false'), ['oven-1']);
  assert.deepEqual(await found('site=ex=true;site==l*'), ['press-2']);
});

test('a change replaces all that was said of a site and leaves its devices', async () => {
  const order = { networks: ['192.0.2.0/24'] };
  const changed = await world.operator.send('PUT', '/v1/sites/graz', order, api.siteView);
  assert.deepEqual([changed.networks, changed.zone, changed.country], [['192.0.2.0/24'], null, null]);
  assert.deepEqual(await found('site==graz'), ['press-1']);
});

test('a deleted site leaves its devices at none', async () => {
  const gone = await world.operator.send('DELETE', '/v1/sites/linz', undefined, api.siteDeleted);
  assert.equal(gone.unassigned, 1);
  assert.equal((await world.device('press-2')).site, null);
  assert.deepEqual(
    (await world.entries('site-deleted')).map(({ subject }) => subject),
    ['site:linz'],
  );
});

test('a request that does not describe a site is refused', async (t) => {
  const token = await world.adminToken();
  for (const [field, value] of [
    ['name', 'Graz'],
    ['timeZone', '+01:00'],
    ['timeZone', 'Europe/Atlantis'],
    ['networks', ['10.1.0.1/16']],
    ['networks', Array.from({ length: 65 }, () => '10.0.0.0/8')],
    ['country', 'Austria'],
    ['country', 'QQ'],
    ['position', { latitude: 91, longitude: 0, radius: 1 }],
    ['position', { latitude: 1, longitude: 0 }],
    ['zone', '2.5'],
    ['colour', 'red'],
  ] as const) {
    await t.test(`${field} ${JSON.stringify(value).slice(0, 60)}`, async () => {
      const body = JSON.stringify({ ...graz, name: 'other', [field]: value });
      const answer = await world.askOperator('POST', '/v1/sites', { token, body });
      assertRefused(answer, { status: 400, code: 'request-invalid', says: /./ });
    });
  }
});

test('a second site of one name is refused, and an order with an unknown device moves none', async () => {
  const token = await world.adminToken();
  const again = await world.askOperator('POST', '/v1/sites', { token, body: JSON.stringify(graz) });
  assertRefused(again, { status: 409, code: 'conflict', says: /graz exists already/ });
  const body = JSON.stringify({ add: ['oven-1', 'nobody'] });
  const moved = await world.askOperator('POST', '/v1/sites/graz/devices', { token, body });
  assertRefused(moved, { status: 404, code: 'not-found', says: /nobody/ });
  assert.equal((await world.device('oven-1')).site, null);
});
