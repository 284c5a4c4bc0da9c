// A hub behind a real TCP balancer that passes TLS through and says who the client is (spec/proxy-protocol.md).
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { blockedAddress } from '@edgekeep/wire/api/address';
import { tlsAfter } from './support/balanced.ts';
import { type Haproxy, startHaproxy } from './support/haproxy.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestAgent } from './support/test-agent.ts';

const skip = await skipWithout('haproxy');
const source = '127.0.0.50';

suite('behind a real balancer', { skip }, () => {
  let world: HubWorld;
  let haproxy: Haproxy;
  before(async () => {
    world = await HubWorld.open({ settings: { device: { port: 0, proxyProtocol: { from: [`${source}/32`] } } } });
    const words = `send-proxy-v2 check check-send-proxy inter 100ms source ${source}`;
    haproxy = await startHaproxy(world.hub.deviceAddress, words);
  });
  after(async () => {
    await haproxy?.[Symbol.asyncDispose]();
    await world?.[Symbol.asyncDispose]();
  });

  async function metric(outcome: string): Promise<number> {
    const text = Buffer.from(await world.operator.getBytes('/metrics')).toString();
    const line = new RegExp(
      `^edgekeep_proxy_protocol_connections_total\\{listener="device",outcome="${outcome}"\\} (\\d+)$`,
      'm',
    );
    return Number(line.exec(text)?.[1] ?? 0);
  }

  test('a device enrolls and is bound through it, and the hub sees the device’s address', async () => {
    const hub = {
      host: '127.0.0.1',
      port: haproxy.port,
      serverName: 'localhost',
      caFile: 'hub-ca.pem',
      logKey: encodeVerifierKey(world.hub.logKey),
      attestationKeyFiles: ['attestation.pem'],
    };
    await using device = await TestAgent.prepare(world, 'press-1', { hub });
    const story = await device.start();
    await story.next('enrolled');
    await story.next('connected');
    await story.next('attested');
    assert.ok((await metric('client')) > 0);
    const [entry] = await world.entries('device-enrolled');
    assert.doesNotMatch(JSON.stringify(entry), new RegExp(source.replaceAll('.', '\\.')));
  });

  test('a block of one client cuts that client, and no other behind the balancer', async () => {
    const through = (from: string) => tlsAfter(world, 'deviceAddress', { from, to: haproxy });
    using bad = await through('127.0.0.71');
    using good = await through('127.0.0.72');
    assert.deepEqual([bad.outcome, good.outcome], ['connected', 'connected']);
    const order = { network: '127.0.0.71', reason: 'a test', seconds: 3_600 };
    await world.operator.send('POST', '/v1/blocked-addresses', order, blockedAddress);
    assert.equal(await bad.ended, 'cut');
    using again = await through('127.0.0.71');
    assert.equal(again.outcome, 'cut');
    assert.equal(await good.ask('/crl'), '200');
  });

  test('its probes are answered and refused nowhere', async () => {
    assert.doesNotMatch(haproxy.log(), /is DOWN/);
    for (const outcome of ['no-header', 'malformed', 'checksum', 'late', 'unlisted'])
      assert.equal(await metric(outcome), 0, outcome);
  });

  test('with a checksum and other extensions, and with version 1', async () => {
    const more = 'send-proxy-v2 proxy-v2-options crc32c,unique-id';
    await using checked = await startHaproxy(world.hub.deviceAddress, `${more} source ${source}`);
    using served = await tlsAfter(world, 'deviceAddress', { from: '127.0.0.73', to: checked });
    assert.equal(served.outcome, 'connected');
    await using old = await startHaproxy(world.hub.deviceAddress, `send-proxy source ${source}`);
    using refused = await tlsAfter(world, 'deviceAddress', { from: '127.0.0.73', to: old });
    assert.equal(refused.outcome, 'cut');
    assert.equal(await metric('version-1'), 1);
  });
});
