import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { connect, createServer, TLSSocket } from 'node:tls';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { Connections } from './connections.ts';

const authority = await makeTestAuthority('test hub');
const nobody = { certificate: undefined, workload: undefined };

async function pair(t: TestContext): Promise<{ readonly client: TLSSocket; readonly accepted: TLSSocket }> {
  const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
  const server = createServer({ cert, key, minVersion: 'TLSv1.3' });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const secured = once(server, 'secureConnection');
  const client = connect({ host: '127.0.0.1', port: address.port, ca: authority.authorityPem });
  client.on('error', () => undefined).resume();
  t.after(() => {
    client.destroy();
    server.close();
  });
  await once(client, 'secureConnect');
  const [accepted] = await secured;
  assert.ok(accepted instanceof TLSSocket);
  return { client, accepted };
}

// SECURITY.md: HUB-46
test('a silent connection on which no device proved itself is closed', async (t) => {
  const { client, accepted } = await pair(t);
  const connections = new Connections(100, 20);
  connections.add(accepted, { exporter: new Uint8Array(32), nowMs: 0 }, nobody);
  await Promise.all([once(client, 'close'), once(accepted, 'close')]);
  assert.equal(connections.count, 0);
});

test('a bound connection may be silent for ever, and no longer when it has to be bound again', async (t) => {
  const { client, accepted } = await pair(t);
  const connections = new Connections(100, 20);
  const connection = connections.add(accepted, { exporter: new Uint8Array(32), nowMs: 0 }, nobody);
  connections.bind(connection);
  assert.deepEqual([connection.bound, accepted.timeout], [true, 0]);
  connections.unbind(connection);
  assert.equal(connection.bound, false);
  await once(client, 'close');
});
