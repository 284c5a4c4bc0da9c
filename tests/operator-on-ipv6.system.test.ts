// The operator file of `hub init` reaches a hub whose operator listener has an IPv6 address.
import assert from 'node:assert/strict';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { deviceList } from '@edgekeep/wire/api/device-view';
import { HubWorld } from './support/hub-world.ts';

const isThere = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const skip = isThere ? false : 'this machine has no ::1';

test('an operator reaches a hub at ::1 by its operator file', { skip }, async () => {
  const listener = { host: '::1', port: 0 };
  await using world = await HubWorld.open({
    trustPublisher: false,
    settings: { operator: listener, device: listener, names: ['::1'] },
  });
  const { devices } = await world.operator.get('/v1/devices', deviceList);
  assert.deepEqual(devices, []);
});
