import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { openTestStore } from '../store/testing-store.ts';
import { Balancers } from './balancers.ts';

const minute = 60_000;

async function opened() {
  const store = await openTestStore();
  const networks = { device: ['10.0.0.0/8', '2001:db8::/64'], operator: [], est: [] };
  let nowMs = 1_000_000;
  const balancers = new Balancers(store.database, networks, () => nowMs);
  const states = async () => {
    await balancers[Symbol.asyncDispose]();
    const rows = await store.database.read.selectFrom('alert').select(['kind', 'subject', 'state']).execute();
    return rows.map(({ kind, subject, state }) => `${kind} ${subject} ${state}`);
  };
  return {
    balancers,
    states,
    pass: (milliseconds: number) => (nowMs += milliseconds),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

test('the addresses of a listener’s list are balancers, in whichever spelling they come', async () => {
  await using world = await opened();
  const of = (address: string) => world.balancers.has('device', address);
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', '2001:DB8:0:0::9']) assert.equal(of(address), true, address);
  for (const address of ['11.1.2.3', '2001:db8:0:1::9', 'unknown', '']) assert.equal(of(address), false, address);
  assert.equal(world.balancers.has('operator', '10.1.2.3'), false);
  for (const network of ['10.1.2.3/32', '10.0.0.0/8', '2001:db8::/32', '2001:db8::5/128'])
    assert.notEqual(world.balancers.listedIn(network), undefined, network);
  for (const network of ['11.0.0.0/8', '2001:db8:1::/48', '0.0.0.0/32'])
    assert.equal(world.balancers.listedIn(network), undefined, network);
});

test('a balancer without headers for five minutes is an alert, which a header of a client closes', async () => {
  await using world = await opened();
  const { balancers, pass, states } = world;
  const name = 'balancer-without-header address:10.1.2.3';
  for (let at = 0; at < 9; at += 1) balancers.note('device', '10.1.2.3', 'no-header');
  assert.deepEqual(await states(), []);
  pass(5 * minute);
  // Its own probe may have a header that its traffic has not.
  balancers.note('device', '10.1.2.3', 'local');
  balancers.note('device', '10.1.2.3', 'version-1');
  assert.deepEqual(await states(), [`${name} open`]);
  balancers.note('device', '10.1.2.3', 'client');
  assert.deepEqual(await states(), [`${name} closed`]);
});

test('silence, and headers from addresses outside the list, raise nothing', async () => {
  await using world = await opened();
  const { balancers, pass, states } = world;
  for (const outcome of ['late', 'cut-short', 'crowded', 'unlisted'] as const)
    for (let at = 0; at < 9; at += 1) {
      balancers.note('device', '10.1.2.3', outcome);
      pass(minute);
    }
  // A fault now and then among connections with headers.
  for (let at = 0; at < 9; at += 1) {
    balancers.note('device', '10.1.2.3', at % 2 === 0 ? 'checksum' : 'client');
    pass(5 * minute);
  }
  assert.deepEqual(await states(), []);
  const registry = new Registry();
  balancers.metrics(registry);
  const text = await registry.metrics();
  assert.match(text, /edgekeep_proxy_protocol_connections_total\{listener="device",outcome="late"\} 9/);
  assert.match(text, /edgekeep_proxy_protocol_connections_total\{listener="device",outcome="client"\} 4/);
});
