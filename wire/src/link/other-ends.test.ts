// Who answers in the place of the hub is named: a proxy that ends TLS, another hub, a web server, a captive portal; and what is wrong with the
// hub's own certificate.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { connect, createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { WireError } from '../error.ts';
import { HubConnection } from './hub-connection.ts';
import { makeTestAuthority } from './testing-authority.ts';
import { tlsServerOptions } from './tls.ts';

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

/** A proxy that inspects TLS, as companies have: it makes a certificate for the name, under an authority of its own. */
async function interceptor(
  t: TestContext,
  hubPort: number,
  options: TlsOptions = {},
): Promise<{ port: number; read: Buffer[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-interceptor-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'rsa:2048', '-nodes', '-days', '30'];
  openssl(
    'req',
    '-x509',
    ...key,
    '-subj',
    '/O=Corp/CN=Corp TLS "Inspection" CA',
    '-keyout',
    'ca.key',
    '-out',
    'ca.pem',
  );
  openssl(
    'req',
    ...key,
    '-subj',
    '/CN=localhost',
    '-addext',
    'subjectAltName=DNS:localhost,IP:127.0.0.1',
    '-keyout',
    'leaf.key',
    '-out',
    'leaf.csr',
  );
  openssl(
    'x509',
    '-req',
    '-in',
    'leaf.csr',
    '-CA',
    'ca.pem',
    '-CAkey',
    'ca.key',
    '-copy_extensions',
    'copy',
    '-days',
    '30',
    '-out',
    'leaf.pem',
  );
  const text = (name: string) => readFileSync(join(folder, name), 'utf8');
  const read: Buffer[] = [];
  const server = createTlsServer(
    { cert: text('leaf.pem') + text('ca.pem'), key: text('leaf.key'), ...options },
    (socket) => {
      const onward = connect({ host: '127.0.0.1', port: hubPort, rejectUnauthorized: false });
      socket.on('data', (chunk: Buffer) => read.push(chunk));
      socket
        .on('error', () => {})
        .pipe(onward)
        .on('error', () => {})
        .pipe(socket);
      socket.once('close', () => onward.destroy());
    },
  );
  return { port: await listen(t, server), read };
}

// SECURITY.md: NET-15
test('a proxy that ends TLS on the way is named, with subject and issuer of its certificate, and reads no request', async (t) => {
  const hub = await listen(t, createTlsServer(hubOptions));
  const proxy = await interceptor(t, hub);
  const { code, message } = await refusedAt(proxy.port);
  assert.equal(code, 'tls-intercepted', message);
  assert.match(message, /^127\.0\.0\.1:\d+: somebody between ends TLS/);
  assert.match(
    message,
    /subject "CN=localhost", issuer "O=Corp, CN=Corp TLS \?\?Inspection\?\? CA", SHA-256 [0-9a-f]{64}/,
  );
  assert.deepEqual(proxy.read, []);
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
  assert.deepEqual(asked, ['GET / {}', 'GET / {}', 'GET / {}']);
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
