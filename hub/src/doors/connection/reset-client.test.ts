import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttps } from 'node:https';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { connect } from 'node:tls';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { queueNewcomers } from './newcomers.ts';

async function portOf(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Passes on what comes, but the client's part from the end of its handshake on: that is sent at once, followed by `end`. */
function holding(port: number, end: (up: Socket) => void) {
  const held: Buffer[] = [];
  let up: Socket | undefined;
  const relay = createServer((client) => {
    const to = connectTcp(port, '127.0.0.1');
    up = to;
    let isAnswered = false;
    client.on('error', () => {}).on('data', (bytes) => (isAnswered ? held.push(bytes) : to.write(bytes)));
    to.on('error', () => {}).on('data', (bytes) => {
      isAnswered = true;
      client.write(bytes);
    });
  });
  const send = () => {
    up?.write(Buffer.concat(held));
    if (up !== undefined) end(up);
  };
  return { relay, send };
}

// SECURITY.md: NET-19
test('a request of a client that resets its connection is not served: the address that it is from is not known', async (t) => {
  const { server: credential, authorityPem: ca } = await makeTestAuthority('root');
  const served: (string | undefined)[] = [];
  const options = { cert: credential.certificateChainPem, key: credential.privateKeyPem };
  const server = createHttps(options, ({ socket }, response) => {
    served.push(socket.remoteAddress);
    response.end();
  });
  queueNewcomers(server);
  const port = await portOf(server);
  t.after(() => server.close());
  const ask = async (end: (up: Socket) => void) => {
    const { relay, send } = holding(port, end);
    const client = connect({ port: await portOf(relay), host: '127.0.0.1', ca, servername: 'localhost' });
    client.on('error', () => {});
    await once(client, 'secureConnect');
    client.write('GET / HTTP/1.1\r\nhost: hub\r\n\r\n');
    for (let turns = 0; turns < 20; turns += 1) await turn();
    const handled = new Promise<void>((resolve) => {
      server.once('secureConnection', () => resolve()).once('tlsClientError', () => resolve());
    });
    send();
    await handled;
    for (let turns = 0; turns < 20; turns += 1) await turn();
    client.destroy();
    relay.close();
  };
  await ask(() => {});
  assert.deepEqual(served, ['127.0.0.1']);
  await ask((up) => up.resetAndDestroy());
  assert.deepEqual(served, ['127.0.0.1']);
});
