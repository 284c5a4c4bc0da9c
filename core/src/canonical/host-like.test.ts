import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostLikeness } from './host-like.ts';

const hub = ['hub', 'hub.plant.example', '10.1.2.3', '*.edge.example'];

test('a name of the hub is one in every spelling', () => {
  for (const name of ['hub', 'HUB', 'hub.', 'Hub.Plant.Example.', '10.1.2.3', 'a.edge.example', 'ｈｕｂ'])
    assert.equal(hostLikeness(name, hub), 'hub', name);
});

test('this machine and addresses are hosts, under every name of the hub', () => {
  for (const name of ['localhost', 'LOCALHOST.', 'x.localhost', 'localhost.localdomain', 'ip6-loopback'])
    assert.equal(hostLikeness(name, hub), 'loopback', name);
  for (const name of ['127.0.0.1', '::1', '[::1]', '127.1', '0x7f.1', '10.1.2.4'])
    assert.equal(hostLikeness(name, hub), 'address', name);
  for (const name of ['2130706433', '0x7f000001', '1']) assert.equal(hostLikeness(name, hub), 'number', name);
});

test('other names are none', () => {
  for (const name of [
    'vision',
    'pump-7',
    'hub-2',
    'a.b.edge.example',
    'edge.example',
    'ada.lovelace',
    'cam1',
    '0xcafe-x',
  ])
    assert.equal(hostLikeness(name, hub), undefined, name);
});
