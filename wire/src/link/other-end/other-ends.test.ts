// Who answers in the place of the hub is named: a proxy that ends TLS, another hub, a web server, a captive portal; and what is wrong with the
// hub's own certificate.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { mock, type TestContext, test } from 'node:test';
import dns from 'node:dns';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { WireError } from '../../error.ts';
import { HubConnection } from '../hub-connection.ts';
import { makeTestAuthority } from '../testing-authority.ts';
import { TlsInterceptor } from './testing-interceptor.ts';
import { tlsServerOptions } from '../tls.ts';

const own = await makeTestAuthority('own hub');

async function listen(t: TestContext, server: Server, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => server.close());
  const isBound = (value: unknown): value is AddressInfo => typeof value === 'object' && value !== null;
  const address = server.address();
  assert.ok(isBound(address));
  return address.port;
}

async function refusedAt(
  port: number,
  more: Partial<Parameters<typeof HubConnection.open>[0]> = {},
): Promise<WireError> {
  const settings = { host: '127.0.0.1', port, authoritiesPem: [own.authorityPem], credential: own.device, ...more };
  const failure: unknown = await HubConnection.open(settings).catch((error: unknown) => error);
  assert.ok(failure instanceof WireError, String(failure));
  return failure;
}

const hubOptions: TlsOptions = tlsServerOptions({
  ...own.server,
  clientAuthoritiesPem: [own.authorityPem],
  clientCertificate: 'optional',
});

// SECURITY.md: NET-15
test('a proxy that ends TLS on the way is named, with subject and issuer of its certificate, and reads no request', async (t) => {
  const hub = await listen(t, createTlsServer(hubOptions));
  for (const options of [{}, { maxVersion: 'TLSv1.2' }] as const) {
    await using proxy = await TlsInterceptor.open(hub, options);
    const { code, message } = await refusedAt(proxy.port);
    assert.equal(code, 'tls-intercepted', message);
    assert.match(message, /^127\.0\.0\.1:\d+: somebody between ends TLS/);
    assert.match(
      message,
      /subject "CN=localhost", issuer "O=Corp, CN=Corp TLS \?\?Inspection\?\? CA", SHA-256 [0-9a-f]{64}/,
    );
    assert.deepEqual(proxy.read, []);
  }
});

test('a hub under another root is another hub, not somebody between', async (t) => {
  const other = await makeTestAuthority('another hub');
  const { certificateChainPem: cert, privateKeyPem: key } = other.server;
  const { code, message } = await refusedAt(await listen(t, createTlsServer({ cert, key })));
  assert.equal(code, 'other-server', message);
  assert.match(message, /another hub answers there: .*subject "CN=localhost", issuer "CN=another hub"/);
});

test('a name that the hub’s certificate does not have is said with those that it has', async (t) => {
  const port = await listen(t, createTlsServer(hubOptions));
  const { code, message } = await refusedAt(port, { serverName: 'hub.example' });
  assert.equal(code, 'hub-name-differs', message);
  assert.match(message, /is for localhost, 127\.0\.0\.1: none of its alternative names is hub\.example/);
});

test('the hub’s own certificate past its time, or before it, is no stranger’s', async (t) => {
  const hour = 3_600;
  for (const [lateSeconds, expected, words] of [
    [-10 * hour, 'hub-certificate-expired', /expired at .* if the clock is right/],
    [10 * hour, 'clock-behind', /not valid before .*: set the clock/],
  ] as const) {
    const authority = await makeTestAuthority('own hub', ['localhost'], ['127.0.0.1'], lateSeconds);
    const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
    const port = await listen(t, createTlsServer({ cert, key }));
    const { code, message } = await refusedAt(port, { authoritiesPem: [authority.authorityPem] });
    assert.equal(code, expected, message);
    assert.match(message, words);
  }
});

test('a web server without TLS and a captive portal have codes of their own, and are asked by one request without anything in it', async (t) => {
  const asked: (string | undefined)[] = [];
  const answering = (answer: (response: ServerResponse) => void) =>
    createHttpServer((request: IncomingMessage, response) => {
      asked.push(`${request.method} ${request.url} ${JSON.stringify(request.headers)}`);
      answer(response);
    });
  const portal = 'http://login.hotel.example/?from=\u00fc';
  for (const [server, expected, words] of [
    [
      answering((response) => response.end('hello')),
      'other-server',
      /a program without TLS answers there, by HTTP \(status 200\)/,
    ],
    [
      answering((response) => response.writeHead(302, { location: portal }).end()),
      'captive-portal',
      /wants a login first, at http:\/\/login\.hotel\.example\/\?from=\?/,
    ],
    [
      answering((response) => response.writeHead(302, { location: 'http://a.example/ ; run `sudo sh x`' }).end()),
      'captive-portal',
      /wants a login first, at http:\/\/a\.example\/$/,
    ],
    [answering((response) => response.writeHead(511).end()), 'captive-portal', /wants a login first$/],
    [
      createTcpServer((socket) => socket.on('error', () => {}).end('220 mail.example ESMTP\r\n')),
      'other-server',
      /a program without TLS answers there$/,
    ],
  ] as const) {
    const { code, message } = await refusedAt(await listen(t, server));
    assert.equal(code, expected, message);
    assert.match(message, words);
  }
  assert.deepEqual(asked, ['GET / {}', 'GET / {}', 'GET / {}', 'GET / {}']);
});

test('a server that has TLS 1.2 alone is no hub', async (t) => {
  const { certificateChainPem: cert, privateKeyPem: key } = own.server;
  const { code, message } = await refusedAt(await listen(t, createTlsServer({ cert, key, maxVersion: 'TLSv1.2' })));
  assert.equal(code, 'tls-refused');
  assert.match(message, /does not speak TLS 1\.3/);
});

test('each address of a name that nobody answers at is in the reason', async (t) => {
  const gone = createTcpServer();
  const port = await listen(t, gone);
  await new Promise((resolve) => gone.close(resolve));
  const { code, message } = await refusedAt(port, { host: 'localhost' });
  assert.equal(code, 'unreachable');
  assert.match(message, /^localhost:\d+: no connection \((?:ECONNREFUSED|(?:(?:127\.0\.0\.1|::1) \w+(?:, )?){2})\)$/);
});

test('a client names a host to the server, and an address never', async (t) => {
  const named: unknown[] = [];
  const server = createTlsServer(hubOptions, (socket) => {
    named.push(socket.servername);
    socket.on('error', () => {});
  });
  const port = await listen(t, server);
  const settings = { host: '127.0.0.1', port, authoritiesPem: [own.authorityPem], credential: own.device };
  for (const serverName of ['LOCALHOST.', '127.0.0.1', '::ffff:127.0.0.1']) {
    const arrived = once(server, 'secureConnection');
    const connection = await HubConnection.open({ ...settings, serverName });
    await arrived;
    await connection[Symbol.asyncDispose]();
  }
  assert.deepEqual(named, ['localhost', false, false]);
});

test('a silent address of a name, and one that refuses, do not keep a device from the next', async (t) => {
  const server = createTlsServer(hubOptions, (socket) => void socket.on('error', () => {}));
  const port = await listen(t, server);
  // TEST-NET-1 and the documentation prefix lead nowhere; a port at another loopback address is closed.
  const addresses = [
    { address: '2001:db8::1', family: 6 },
    { address: '192.0.2.1', family: 4 },
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ];
  const lookup = mock.method(
    dns,
    'lookup',
    (...[, , answer]: [string, object, (error: null, found: object) => void]) => {
      answer(null, addresses);
    },
  );
  t.after(() => lookup.mock.restore());
  const settings = { port, authoritiesPem: [own.authorityPem], credential: own.device, serverName: 'localhost' };
  const connection = await HubConnection.open({ ...settings, host: 'hub.example' });
  await connection[Symbol.asyncDispose]();
  addresses.pop();
  const refused = await refusedAt(port, { ...settings, host: 'hub.example' });
  assert.equal(refused.code, 'unreachable');
  assert.match(
    refused.message,
    /^hub\.example:\d+: no connection \(.*2001:db8::1 E\w+.*192\.0\.2\.1 E\w+.*::1 ECONNREFUSED\)$/,
  );
});
