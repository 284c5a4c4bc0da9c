import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { channelBinding } from './channel-binding.ts';
import { WireError } from '../error.ts';
import { makeTestAuthority } from './testing-authority.ts';

const authority = await makeTestAuthority('test hub');
const unavailable = (error: unknown) => error instanceof WireError && error.code === 'channel-binding-unavailable';

async function pair(t: TestContext, version: 'TLSv1.2' | 'TLSv1.3'): Promise<readonly [TLSSocket, TLSSocket]> {
  const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
  const server = createServer({ cert, key, minVersion: version, maxVersion: version });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const accepted = new Promise<TLSSocket>((resolve) => {
    server.once('secureConnection', resolve);
  });
  const client = connect({ host: '127.0.0.1', port: address.port, ca: authority.authorityPem, minVersion: 'TLSv1.2' });
  await once(client, 'secureConnect');
  const other = await accepted;
  t.after(() => {
    client.destroy();
    other.destroy();
    server.close();
  });
  return [client, other];
}

test('both ends of a TLS 1.3 connection have the same 32 bytes, and another connection has others', async (t) => {
  const [client, server] = await pair(t, 'TLSv1.3');
  const [second] = await pair(t, 'TLSv1.3');
  const binding = Buffer.from(channelBinding(client));
  assert.equal(binding.length, 32);
  assert.ok(binding.equals(channelBinding(server)));
  assert.ok(!binding.equals(channelBinding(second)));
});

test('a TLS 1.2 connection has no channel binding', async (t) => {
  const [client, server] = await pair(t, 'TLSv1.2');
  assert.throws(() => channelBinding(client), unavailable);
  assert.throws(() => channelBinding(server), unavailable);
});

test('a connection that was destroyed has no channel binding', async (t) => {
  const [client] = await pair(t, 'TLSv1.3');
  client.destroy();
  assert.throws(() => channelBinding(client), unavailable);
});
