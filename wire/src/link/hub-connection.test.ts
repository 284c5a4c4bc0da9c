import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';
import { channelBinding } from './channel-binding.ts';
import { WireError, type WireErrorCode } from '../error.ts';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { HubConnection, type HubConnectionSettings } from './hub-connection.ts';
import { makeTestAuthority } from './testing-authority.ts';
import { tlsServerOptions } from './tls.ts';

const authority = await makeTestAuthority('test hub');
const stranger = await makeTestAuthority('another hub');

const withCode = (code: WireErrorCode) => (error: unknown) => error instanceof WireError && error.code === code;

interface TestHub {
  readonly server: Server;
  readonly port: number;
  readonly sockets: Set<TLSSocket>;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const serverOptions = tlsServerOptions({
  ...authority.server,
  clientAuthoritiesPem: [authority.authorityPem],
  clientCertificate: 'required',
});

async function listen(t: TestContext, server: NetServer, port = 0): Promise<number> {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  const isBound = (value: typeof address): value is AddressInfo => typeof value === 'object' && value !== null;
  if (!isBound(address)) throw new Error('no port');
  return address.port;
}

async function startHub(t: TestContext, handler: Handler, options: TlsOptions = {}): Promise<TestHub> {
  const server: Server = createServer({ ...serverOptions, ...options, keepAliveTimeout: 0 }, handler);
  const sockets = new Set<TLSSocket>();
  server.on('secureConnection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  t.after(() => {
    for (const socket of sockets) socket.destroy();
  });
  return { server, port: await listen(t, server), sockets };
}

/** A TLS server that answers the first bytes of each connection with fixed bytes, which no HTTP server would send. */
async function startRaw(t: TestContext, answer: string | Buffer, end = true): Promise<number> {
  const open = new Set<Socket>();
  const server = createTlsServer(serverOptions, (socket) => {
    open.add(socket);
    socket.on('error', () => {});
    socket.once('data', () => (end ? socket.end(answer) : socket.write(answer)));
  });
  t.after(() => {
    for (const socket of open) socket.destroy();
  });
  return listen(t, server);
}

async function connectTo(
  t: TestContext,
  port: number,
  settings: Partial<HubConnectionSettings> = {},
): Promise<HubConnection> {
  const connection = await HubConnection.open({
    host: '127.0.0.1',
    port,
    authoritiesPem: [authority.authorityPem],
    credential: authority.device,
    ...settings,
  });
  t.after(() => connection[Symbol.asyncDispose]());
  return connection;
}

const get = (path: string) => ({ method: 'GET' as const, path });
const echo: Handler = (request, response) => {
  response.setHeader('x-path', request.url ?? '');
  request.pipe(response);
};
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

test('requests travel in turn over one connection, and both ends agree on its channel binding', async (t) => {
  const bindings = new Set<string>();
  const hub = await startHub(t, (request, response) => {
    const socket: unknown = request.socket;
    if (isTls(socket)) bindings.add(Buffer.from(channelBinding(socket)).toString('hex'));
    echo(request, response);
  });
  const connection = await connectTo(t, hub.port);
  const sent = ['one', 'two', 'three'];
  const answers = await Promise.all(sent.map((body) => connection.request({ method: 'POST', path: '/echo', body })));
  assert.deepEqual(
    answers.map(({ status, body }) => [status, text(body)]),
    sent.map((body) => [200, body]),
  );
  assert.deepEqual([...bindings], [Buffer.from(connection.binding ?? []).toString('hex')]);
  assert.equal(hub.sockets.size, 1);
});

function isTls(socket: unknown): socket is TLSSocket {
  return typeof socket === 'object' && socket !== null && 'getProtocol' in socket;
}

for (const [used, how] of [
  [true, 'destroy'],
  [true, 'end'],
  [false, 'destroy'],
  [false, 'end'],
] as const) {
  const kind = used ? 'used' : 'fresh';
  test(`a cut (${how}) of a ${kind} connection is noticed at once, and nothing more is sent over it`, async (t) => {
    const paths: string[] = [];
    const hub = await startHub(t, (request, response) => {
      paths.push(request.url ?? '');
      echo(request, response);
    });
    const accepted = once(hub.server, 'secureConnection');
    const connection = await connectTo(t, hub.port);
    await accepted;
    if (used) await connection.request(get('/first'));
    assert.equal(connection.connected, true);
    for (const socket of hub.sockets) socket[how]();
    const reason = await connection.closed;
    assert.equal(reason.code, 'connection-lost');
    assert.equal(connection.connected, false);
    await assert.rejects(connection.request(get('/')), withCode('connection-lost'));
    assert.deepEqual(paths, used ? ['/first'] : []);
  });
}

test('a hub that goes away in the middle of an answer is connection-lost', async (t) => {
  const hub = await startHub(t, (_, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  });
  await assert.rejects((await connectTo(t, hub.port)).request(get('/')), withCode('connection-lost'));
});

test('an answer over the limit is refused, whether its length is announced or not', async (t) => {
  const hub = await startHub(t, (request, response) => {
    const body = Buffer.alloc(2048);
    if (request.url === '/announced') response.setHeader('content-length', body.length);
    response.write(body);
    response.end();
  });
  for (const path of ['/announced', '/chunked']) {
    const connection = await connectTo(t, hub.port, { limits: { maxResponseLength: 2047 } });
    await assert.rejects(connection.request(get(path)), withCode('response-too-large'), path);
  }
});

test('headers over the limit are refused', async (t) => {
  const port = await startRaw(t, `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`);
  await assert.rejects((await connectTo(t, port)).request(get('/')), withCode('response-too-large'));
});

test('an answer that is not HTTP is response-invalid', async (t) => {
  for (const answer of [
    'SSH-2.0-OpenSSH_9.2\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab',
  ]) {
    const port = await startRaw(t, answer);
    await assert.rejects((await connectTo(t, port)).request(get('/')), withCode('response-invalid'));
  }
});

test('a hub that wants to speak another protocol is connection-lost, and nothing waits for it', async (t) => {
  const port = await startRaw(
    t,
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
    false,
  );
  const connection = await connectTo(t, port);
  await assert.rejects(connection.request(get('/')), withCode('connection-lost'));
  await assert.rejects(connection.request(get('/next')), withCode('connection-lost'));
  const download = (await connectTo(t, port)).download({ path: '/', onChunk: () => {} });
  await assert.rejects(download, withCode('connection-lost'));
});

test('a hub that says nothing, or drips for ever, ends in a timeout', async (t) => {
  const limits = { requestTimeoutMs: 40, idleTimeoutMs: 40 };
  const silent = await connectTo(t, await startRaw(t, '', false), { limits });
  await assert.rejects(silent.request(get('/')), withCode('timeout'));
  const dripping = await startHub(t, (_, response) => {
    const timer = setInterval(() => response.write('.'), 5);
    response.once('close', () => clearInterval(timer));
  });
  await assert.rejects((await connectTo(t, dripping.port, { limits })).request(get('/')), withCode('timeout'));
  const stalled = await startHub(t, (_, response) => void response.writeHead(200).write('x'));
  const download = (await connectTo(t, stalled.port, { limits })).download({ path: '/', onChunk: () => {} });
  await assert.rejects(download, withCode('timeout'));
});

test('a server that never finishes the handshake ends in a timeout', async (t) => {
  const open = new Set<Socket>();
  const port = await listen(
    t,
    createTcpServer((socket) => open.add(socket)),
  );
  t.after(() => {
    for (const socket of open) socket.destroy();
  });
  await assert.rejects(connectTo(t, port, { connectTimeoutMs: 30 }), withCode('timeout'));
});

test('nobody at the port is unreachable', async (t) => {
  const server = createTcpServer();
  const port = await listen(t, server);
  server.close();
  await once(server, 'close');
  await assert.rejects(connectTo(t, port), withCode('unreachable'));
});

// SECURITY.md: NET-01
test('a hub under another authority is refused', async (t) => {
  const hub = await startHub(t, echo);
  await assert.rejects(connectTo(t, hub.port, { authoritiesPem: [stranger.authorityPem] }), withCode('other-server'));
});

// SECURITY.md: NET-01
test('a hub whose certificate is for another host is refused', async (t) => {
  const hub = await startHub(t, echo);
  for (const serverName of ['hub.example.com', '127.0.0.2']) {
    await assert.rejects(connectTo(t, hub.port, { serverName }), withCode('hub-name-differs'));
  }
  await connectTo(t, hub.port, { serverName: 'localhost' });
});

test('a TLS 1.2 server is refused', async (t) => {
  const options: TlsOptions = {
    minVersion: 'TLSv1.2',
    maxVersion: 'TLSv1.2',
    ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384',
  };
  const hub = await startHub(t, echo, options);
  await assert.rejects(connectTo(t, hub.port), withCode('tls-refused'));
});

test('a device without a certificate, or with one of another authority, gets no answer', async (t) => {
  const hub = await startHub(t, echo);
  for (const credential of [undefined, stranger.device]) {
    const failure = await connectTo(t, hub.port, { credential })
      .then((connection) => connection.request(get('/')))
      .catch((error: unknown) => error);
    assert.ok(
      failure instanceof WireError && ['tls-refused', 'connection-lost'].includes(failure.code),
      String(failure),
    );
  }
});

test('a key that does not fit the certificate and an empty list of authorities are settings-invalid', async (t) => {
  const mixed = { ...authority.device, privateKeyPem: stranger.device.privateKeyPem };
  await assert.rejects(connectTo(t, 1, { credential: mixed }), withCode('settings-invalid'));
  await assert.rejects(connectTo(t, 1, { authoritiesPem: [] }), withCode('settings-invalid'));
});

// SECURITY.md: NET-06
test('no connection resumes an earlier session', async (t) => {
  const reused: boolean[] = [];
  const hub = await startHub(t, (request, response) => {
    const socket: unknown = request.socket;
    if (isTls(socket)) reused.push(socket.isSessionReused());
    echo(request, response);
  });
  for (let times = 0; times < 2; times += 1) await (await connectTo(t, hub.port)).request(get('/'));
  assert.deepEqual(reused, [false, false]);
});

test('an aborted request ends at once, in its turn or before it; in its turn it costs the connection', async (t) => {
  const arrived = Promise.withResolvers<void>();
  const hub = await startHub(t, (request, response) => {
    if (request.url === '/hang') return arrived.resolve();
    echo(request, response);
  });
  const connection = await connectTo(t, hub.port);
  const first = new AbortController();
  const second = new AbortController();
  const hanging = connection.request({ ...get('/hang'), signal: first.signal });
  const waiting = connection.request({ ...get('/waiting'), signal: second.signal });
  await arrived.promise;
  second.abort();
  await assert.rejects(waiting, withCode('aborted'));
  first.abort();
  await assert.rejects(hanging, withCode('aborted'));
  await assert.rejects(connection.request(get('/next')), withCode('connection-lost'));
  assert.equal(connection.connected, false);
});

test('disposal ends what is under way and refuses what comes after', async (t) => {
  const arrived = Promise.withResolvers<void>();
  const hub = await startHub(t, () => arrived.resolve());
  const connection = await connectTo(t, hub.port);
  const { closed } = connection;
  const hanging = assert.rejects(connection.request(get('/hang')), withCode('closed'));
  const queued = assert.rejects(connection.request(get('/queued')), withCode('closed'));
  await arrived.promise;
  await connection[Symbol.asyncDispose]();
  await Promise.all([hanging, queued]);
  assert.equal((await closed).code, 'closed');
  await assert.rejects(connection.request(get('/')), withCode('closed'));
});

const content = Buffer.from(Array.from({ length: 300_000 }, (_, at) => at % 251));
const files: Handler = (request, response) => {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '') ?? [];
  if (first === undefined) return void response.end(content);
  const end = Math.min(last === '' ? content.length - 1 : Number(last), content.length - 1);
  response.writeHead(206, { 'content-range': `bytes ${first}-${end}/${content.length}` });
  response.end(content.subarray(Number(first), end + 1));
};

async function collect(connection: HubConnection, range?: { start: number; length?: number }) {
  const chunks: Uint8Array[] = [];
  const onChunk = (chunk: Uint8Array) => void chunks.push(chunk);
  const result = await connection.download({ path: '/model', onChunk, ...(range && { range }) });
  return { result, bytes: Buffer.concat(chunks) };
}

test('a download gives exactly the bytes of its range', async (t) => {
  const hub = await startHub(t, files);
  const connection = await connectTo(t, hub.port);
  assert.ok((await collect(connection)).bytes.equals(content));
  assert.ok((await collect(connection, { start: 100_000 })).bytes.equals(content.subarray(100_000)));
  const middle = await collect(connection, { start: 10, length: 70_000 });
  assert.ok(middle.bytes.equals(content.subarray(10, 70_010)));
  assert.equal(middle.result.kind === 'complete' && middle.result.length, 70_000);
  assert.equal(hub.sockets.size, 1);
});

test('a download waits for its reader', async (t) => {
  const hub = await startHub(t, (_, response) => void response.end(Buffer.alloc(64 * 1024 * 1024)));
  const connection = await connectTo(t, hub.port);
  const held = Promise.withResolvers<void>();
  const first = Promise.withResolvers<void>();
  let received = 0;
  const download = connection.download({
    path: '/',
    onChunk: async (chunk) => {
      received += chunk.length;
      first.resolve();
      await held.promise;
    },
  });
  await first.promise;
  const before = received;
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(received, before);
  held.resolve();
  assert.equal((await download).kind, 'complete');
  assert.equal(received, 64 * 1024 * 1024);
});

test('an answer that is not the range asked for is refused', async (t) => {
  const answers = ['bytes 1-3/9', 'bytes 0-9/10', 'bytes 0-99999999999999999999/1', 'bytes 0-2', 'bytes 3-0/9', ''];
  const hub = await startHub(t, (request, response) => {
    response.writeHead(206, { 'content-range': answers[Number(request.url?.slice(1))] ?? '' }).end('abc');
  });
  for (const at of answers.keys()) {
    const range = { start: 0, length: 3 };
    const download = (await connectTo(t, hub.port)).download({ path: `/${at}`, range, onChunk: () => {} });
    await assert.rejects(download, withCode('response-invalid'), answers[at]);
  }
});

test('a download whose body is longer or shorter than its range is refused', async (t) => {
  const hub = await startHub(t, (request, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-3/9' }).end(request.url === '/long' ? 'abcde' : 'abc');
  });
  for (const path of ['/long', '/short']) {
    const download = (await connectTo(t, hub.port)).download({
      path,
      range: { start: 0, length: 4 },
      onChunk: () => {},
    });
    await assert.rejects(download, withCode('response-invalid'), path);
  }
});

test('a download the hub refuses gives its answer', async (t) => {
  const hub = await startHub(t, (_, response) => void response.writeHead(403).end('{"error":"quarantined"}'));
  const connection = await connectTo(t, hub.port);
  const result = await connection.download({ path: '/', onChunk: () => assert.fail('no bytes expected') });
  assert.ok(result.kind === 'answered');
  assert.equal(result.response.status, 403);
  assert.equal(text(result.response.body), '{"error":"quarantined"}');
});

test('an error of the reader ends the download with that error', async (t) => {
  const hub = await startHub(t, files);
  const full = new Error('disk full');
  const download = (await connectTo(t, hub.port)).download({ path: '/', onChunk: () => Promise.reject(full) });
  await assert.rejects(download, (error) => error === full);
});

test('a server that the caller does not accept is refused, and the connection with it', async (t) => {
  const hub = await startHub(t, echo);
  const shown: number[] = [];
  const acceptServer = (chain: readonly Certificate[]) => {
    shown.push(chain.length);
    throw new Error('it was revoked');
  };
  await assert.rejects(connectTo(t, hub.port, { acceptServer }), withCode('tls-refused'));
  assert.deepEqual(shown, [2]);
});

test('a connection that is given up while it is made ends as closed', async (t) => {
  const open = new Set<Socket>();
  const port = await listen(
    t,
    createTcpServer((socket) => open.add(socket)),
  );
  t.after(() => {
    for (const socket of open) socket.destroy();
  });
  const giving = new AbortController();
  const opening = assert.rejects(connectTo(t, port, { signal: giving.signal }), withCode('closed'));
  giving.abort();
  await opening;
});

test('a request with a header that HTTP does not allow is refused before it is sent', async (t) => {
  const hub = await startHub(t, echo);
  const connection = await connectTo(t, hub.port);
  const headers = { 'x-name': 'a\r\nx-forged: 1' };
  await assert.rejects(connection.request({ ...get('/'), headers }), withCode('settings-invalid'));
  await assert.rejects((await connectTo(t, hub.port)).request(get('/a b')), withCode('settings-invalid'));
});
