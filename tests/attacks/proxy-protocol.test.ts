// Who says which address a client has (spec/proxy-protocol.md): the balancers on the list, and nobody else.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { after, before, test } from 'node:test';
import { blockedAddress } from '@edgekeep/wire/api/address';
import { headerFor, localHeader, tlsAfter } from '../support/balanced.ts';
import { HubWorld } from '../support/hub-world.ts';

const balancer = '127.0.0.50';
const stranger = '127.0.0.51';
const victim = '203.0.113.9';
const firstVersion = Buffer.from(`PROXY TCP4 ${victim} 10.0.0.1 49153 8443\r\n`);

let world: HubWorld;
before(async () => {
  const proxyProtocol = { from: [balancer] };
  world = await HubWorld.open({
    settings: {
      device: { port: 0, proxyProtocol },
      operator: { port: 0, proxyProtocol },
      maxAnonymousRequestsPerSecond: 1,
    },
  });
});
after(async () => {
  await world?.[Symbol.asyncDispose]();
});

const listeners = ['deviceAddress', 'operatorAddress'] as const;

async function counted(outcome: string): Promise<number> {
  const text = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  const lines = text.matchAll(
    /^edgekeep_proxy_protocol_connections_total\{listener="\w+",outcome="([^"]+)"\} (\d+)$/gm,
  );
  return [...lines].reduce((sum, [, name, count]) => sum + (name === outcome ? Number(count) : 0), 0);
}

const block = (network: string) =>
  world.operator.send('POST', '/v1/blocked-addresses', { network, reason: 'a test', seconds: 3_600 }, blockedAddress);

// SECURITY.md: NET-18
test('a peer that is not on the list cannot say which address it has', async () => {
  for (const listener of listeners)
    for (const first of [headerFor('127.0.0.1'), localHeader, firstVersion]) {
      using refused = await tlsAfter(world, listener, { from: stranger, first });
      assert.equal(refused.outcome, 'cut');
      using direct = await tlsAfter(world, listener, { from: stranger });
      assert.equal(direct.outcome, 'connected');
    }
  assert.equal(await counted('unlisted'), 6);
  assert.equal(await counted('client'), 0);
});

// SECURITY.md: NET-18
test('a client behind a balancer cannot say it either: its own header is not a second one', async () => {
  for (const listener of listeners) {
    const first = Buffer.concat([headerFor(stranger), headerFor('127.0.0.1')]);
    using refused = await tlsAfter(world, listener, { from: balancer, first });
    assert.equal(refused.outcome, 'cut');
    using served = await tlsAfter(world, listener, { from: balancer, first: headerFor(stranger) });
    assert.equal(served.outcome, 'connected');
  }
});

// SECURITY.md: NET-18
test('a balancer on the list that sends no header, or another one, serves nobody, and each reason is counted', async () => {
  const damaged = headerFor(victim);
  damaged[12] = 0x31;
  for (const [first, outcome] of [
    [undefined, 'no-header'],
    [firstVersion, 'version-1'],
    [damaged, 'malformed'],
    [Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'no-header'],
  ] as const)
    for (const listener of listeners) {
      const before = await counted(outcome);
      using refused = await tlsAfter(world, listener, { from: balancer, ...(first && { first }) });
      assert.equal(refused.outcome, 'cut');
      assert.equal((await counted(outcome)) - before, 1, outcome);
    }
});

// SECURITY.md: NET-18
test('the address in the header is the one that is blocked, at once and before the handshake', async () => {
  for (const [at, listener] of listeners.entries()) {
    const client = `198.51.100.${at + 1}`;
    const first = headerFor(client);
    using open = await tlsAfter(world, listener, { from: balancer, first });
    using other = await tlsAfter(world, listener, { from: balancer, first: headerFor('198.51.100.8') });
    assert.deepEqual([open.outcome, other.outcome], ['connected', 'connected']);
    await block(client);
    assert.equal(await open.ended, 'cut');
    using refused = await tlsAfter(world, listener, { from: balancer, first });
    assert.equal(refused.outcome, 'cut');
    // It is served still.
    assert.match(await other.ask('/crl'), /^[24]0/);
  }
});

test('a block that would cut off every client behind a balancer is refused', async () => {
  for (const network of [balancer, '127.0.0.32/27'])
    await assert.rejects(block(network), { code: 'conflict', message: /the balancer 127\.0\.0\.50\/32/ });
});

// SECURITY.md: NET-18, HUB-42
test('a stranger behind a balancer uses up the budget of no other', async () => {
  const asked = async (client: string, times: number) => {
    const answers: string[] = [];
    for (let time = 0; time < times; time += 1) {
      using connection = await tlsAfter(world, 'deviceAddress', { from: balancer, first: headerFor(client) });
      answers.push(await connection.ask('/crl'));
    }
    return answers;
  };
  const flood = await asked('198.51.100.20', 25);
  assert.ok(flood.includes('429'), flood.join(' '));
  assert.deepEqual(await asked('198.51.100.21', 3), ['200', '200', '200']);
});

// SECURITY.md: NET-18
test('probes cost and raise nothing: a connection that closes, and a header of the balancer’s own', async () => {
  const refusedBefore = await counted('cut-short');
  const localBefore = await counted('local');
  const { port } = world.hub.deviceAddress;
  for (const first of [undefined, localHeader]) {
    const probe = connectTcp({ host: '127.0.0.1', port, localAddress: balancer });
    await once(probe, 'connect');
    if (first !== undefined) probe.write(first);
    probe.end();
    probe.resume();
    await once(probe, 'close');
  }
  assert.equal(await counted('cut-short'), refusedBefore);
  assert.equal(await counted('local'), localBefore + 1);
  using served = await tlsAfter(world, 'deviceAddress', { from: balancer, first: localHeader });
  assert.equal(served.outcome, 'connected');
});
