// The key exchange of a connection as the server reads it from its session.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { type KeyExchange, keyExchangeOf } from './key-exchange.ts';
import { makeTestAuthority } from './testing-authority.ts';
import { tlsClientOptions, tlsServerOptions } from './tls.ts';

test('a server reads hybrid for X25519MLKEM768 and classical for every other group, with and without a client certificate', async () => {
  const authority = await makeTestAuthority('Test Root');
  const { authorityPem, server: own, device: credential } = authority;
  const seen: KeyExchange[] = [];
  const server = createServer(
    tlsServerOptions({ ...own, clientAuthoritiesPem: [authorityPem], clientCertificate: 'optional' }),
    (socket) => {
      seen.push(keyExchangeOf(socket));
      socket.end('.');
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const address = server.address();
    assert.ok(typeof address === 'object' && address !== null);
    const options = tlsClientOptions({ authoritiesPem: [authorityPem], serverName: 'localhost', credential });
    const { cert: _, key: __, ...anonymous } = options;
    for (const ecdhCurve of [options.ecdhCurve, 'X25519MLKEM768', 'X25519', 'P-256', 'P-384']) {
      for (const client of [options, anonymous]) {
        const socket = connect({ ...client, ecdhCurve, host: '127.0.0.1', port: address.port });
        await once(socket, 'secureConnect');
        socket.resume();
        await once(socket, 'close');
      }
    }
  } finally {
    server.close();
  }
  assert.deepEqual(seen.slice(0, 4), ['hybrid', 'hybrid', 'hybrid', 'hybrid']);
  assert.deepEqual(
    seen.slice(4),
    Array.from({ length: 6 }, () => 'classical'),
  );
});

test('a session that cannot be read, names no group, or is missing is classical, and its bytes are overwritten', () => {
  const of = (session: Buffer<ArrayBuffer> | undefined) =>
    keyExchangeOf({ getSession: () => session } satisfies Pick<TLSSocket, 'getSession'>);
  const hybrid = () => Buffer.from('3006b304020211ec', 'hex');
  assert.equal(of(hybrid()), 'hybrid');
  const session = hybrid();
  of(session);
  assert.deepEqual(session, Buffer.alloc(session.length));
  for (const hex of ['', '30', '3000', '3006b304020211', '3006b30402021100', '3004b3020401', '3006b204020211ec']) {
    assert.equal(of(Buffer.from(hex, 'hex')), 'classical', hex);
  }
  assert.equal(of(undefined), 'classical');
});
