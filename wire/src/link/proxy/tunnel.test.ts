import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { createServer as createTcpServer, type AddressInfo, type Server as NetServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { WireError, type WireErrorCode } from '../../error.ts';
import { channelBinding } from '../channel-binding.ts';
import { HubConnection, type HubConnectionSettings } from '../hub-connection.ts';
import { type Proxy, ProxyCredentials } from './proxy.ts';
import { makeTestAuthority } from '../testing-authority.ts';
import { relay, startProxy } from './testing-proxy.ts';
import { tlsServerOptions } from '../tls.ts';

const authority = await makeTestAuthority('test hub');
const ofProxy = await makeTestAuthority('test proxy');

const serverOptions = tlsServerOptions({
  ...authority.server,
  clientAuthoritiesPem: [authority.authorityPem],
  clientCertificate: 'required',
});

async function listen(t: TestContext, server: NetServer, host = '127.0.0.1'): Promise<number> {
  server.listen(0, host);
  await once(server, 'listening');
  t.after(() => server.close());
  const address: AddressInfo | string | null = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('no port');
  return address.port;
}

/** Answers with the channel binding of its end. */
async function startHub(t: TestContext, host?: string): Promise<number> {
  const server: Server = createServer({ ...serverOptions, keepAliveTimeout: 0 }, ({ socket }, response) => {
    response.end(socket instanceof TLSSocket ? channelBinding(socket) : undefined);
  });
  t.after(() => server.closeAllConnections());
  return listen(t, server, host);
}

const http = (port: number): Proxy => ({ scheme: 'http', host: '127.0.0.1', port });

async function open(
  t: TestContext,
  port: number,
  proxy: Proxy,
  settings: Partial<HubConnectionSettings> = {},
): Promise<HubConnection> {
  const connection = await HubConnection.open({
    host: '127.0.0.1',
    port,
    proxy,
    authoritiesPem: [authority.authorityPem],
    credential: authority.device,
    ...settings,
  });
  t.after(() => connection[Symbol.asyncDispose]());
  return connection;
}

/** What the attempt through a proxy that answers in this way ends with. */
async function refusal(
  t: TestContext,
  answer: (head: string, socket: Socket) => void,
  settings: Partial<HubConnectionSettings> = {},
  credentials?: ProxyCredentials,
): Promise<WireError> {
  const { port } = await startProxy(t, answer);
  const proxy = { ...http(port), credentials };
  const error: unknown = await open(t, 1, proxy, { host: 'hub.example', ...settings }).catch((cause: unknown) => cause);
  assert.ok(error instanceof WireError, String(error));
  assert.match(error.message, new RegExp(`http://127\\.0\\.0\\.1:${port}`), 'the error names the proxy');
  return error;
}

const says = (text: string) => (_: string, socket: Socket) => void socket.write(text, 'latin1');

test('a connection through a proxy has the channel binding of the hub’s end', async (t) => {
  const hub = await startHub(t);
  const proxy = await startProxy(t);
  const connection = await open(t, hub, http(proxy.port));
  const { body } = await connection.request({ method: 'GET', path: '/' });
  assert.deepEqual(Buffer.from(body), Buffer.from(connection.binding));
  assert.deepEqual(proxy.heads, [`CONNECT 127.0.0.1:${hub} HTTP/1.1\r\nHost: 127.0.0.1:${hub}\r\n\r\n`]);
});

test('the proxy itself is reached by TLS where its URL says so, and only the right one', async (t) => {
  const hub = await startHub(t);
  const tls = { cert: ofProxy.server.certificateChainPem, key: ofProxy.server.privateKeyPem };
  const { port } = await startProxy(t, relay, tls);
  const proxy: Proxy = { scheme: 'https', host: '127.0.0.1', port, authoritiesPem: [ofProxy.authorityPem] };
  const connection = await open(t, hub, proxy);
  const { body } = await connection.request({ method: 'GET', path: '/' });
  assert.deepEqual(Buffer.from(body), Buffer.from(connection.binding));
  const others = { ...proxy, authoritiesPem: [authority.authorityPem] };
  await assert.rejects(open(t, hub, others), { code: 'proxy-tls-refused' });
  await assert.rejects(open(t, hub, { ...proxy, authoritiesPem: undefined }), { code: 'proxy-tls-refused' });
  await assert.rejects(open(t, hub, http(port)), { code: 'proxy-answer-invalid' });
});

test('an IPv6 hub is asked for in brackets, without the zone of this machine', async (t) => {
  const hub = await startHub(t, '::1');
  const proxy = await startProxy(t);
  await open(t, hub, http(proxy.port), { host: '::1', serverName: '127.0.0.1' });
  assert.match(proxy.heads[0] ?? '', new RegExp(`^CONNECT \\[::1\\]:${hub} HTTP/1\\.1\r\nHost: \\[::1\\]:${hub}\r\n`));
  const link = await startProxy(t, says('HTTP/1.1 403 no\r\n\r\n'));
  await assert.rejects(open(t, hub, http(link.port), { host: 'fe80::1%lo' }));
  assert.match(link.heads[0] ?? '', /^CONNECT \[fe80::1\]:/);
});

test('credentials are sent to the proxy alone, and appear in no error', async (t) => {
  const credentials = new ProxyCredentials('press-7', 'h0rse:bättery');
  const hub = await startHub(t);
  const proxy = await startProxy(t);
  await open(t, hub, { ...http(proxy.port), credentials });
  const [, sent = ''] = /\r\nProxy-Authorization: Basic (\S+)\r\n/.exec(proxy.heads[0] ?? '') ?? [];
  assert.equal(Buffer.from(sent, 'base64').toString('utf8'), 'press-7:h0rse:bättery');
  const error = await refusal(t, says('HTTP/1.1 407 no\r\n\r\n'), {}, credentials);
  assert.equal(error.code, 'proxy-credentials-refused');
  for (const text of [error.message, JSON.stringify(credentials)])
    assert.doesNotMatch(text, /h0rse|press-7|Basic [A-Za-z0-9]/);
});

test('missing credentials, wrong ones, and a scheme that is not spoken are different refusals', async (t) => {
  const credentials = new ProxyCredentials('a', 'b');
  const asks = (challenges: string) => says(`HTTP/1.1 407 Proxy Authentication Required\r\n${challenges}\r\n`);
  const basic = 'Proxy-Authenticate: Basic realm="Negotiate, NTLM"\r\n';
  const several = 'Proxy-Authenticate: Negotiate, NTLM\r\nproxy-authenticate: Basic realm="plant", charset="UTF-8"\r\n';
  const without = 'Proxy-Authenticate: Digest realm="Basic", nonce="x", Negotiate dG9rZW4=\r\n';
  for (const challenges of ['', basic, several]) {
    assert.equal((await refusal(t, asks(challenges))).code, 'proxy-credentials-required');
    assert.equal((await refusal(t, asks(challenges), {}, credentials)).code, 'proxy-credentials-refused');
  }
  for (const sent of [undefined, credentials]) {
    const { code, message } = await refusal(t, asks(without), {}, sent);
    assert.equal(code, 'proxy-credentials-required');
    assert.match(message, /takes Digest, Negotiate only/);
  }
});

test('any other answer than success is named with what the proxy said, printable and bounded', async (t) => {
  const of = async (text: string) => refusal(t, says(text));
  const filtered = await of('HTTP/1.0 403 Filtered\r\nContent-Length: 5\r\n\r\nhello');
  assert.equal(filtered.code, 'proxy-refused');
  assert.match(filtered.message, /did not connect to hub\.example:1, it answered "403 Filtered": its administrator/);
  const gateway = await of('HTTP/1.1 502 Bad Gateway\r\nProxy-Status: squid; error=dns_error\r\n\r\n');
  assert.match(gateway.message, /"502 Bad Gateway \(squid; error=dns_error\)"/);
  const hostile = await of(`HTTP/1.1 500 \x1b]0;owned\x07\xe2\x80\xae"${'a'.repeat(9_000)}\r\n\r\n`);
  assert.equal(hostile.code, 'proxy-refused');
  assert.match(hostile.message, /^[\x20-\x7e…]{0,400}$/);
  assert.equal((await of('HTTP/1.1 302 Found\r\nLocation: https://login.example/\r\n\r\n')).code, 'proxy-refused');
  assert.equal((await of('HTTP/1.1 101 Switching Protocols\r\n\r\n')).code, 'proxy-refused');
});

test('any 2xx opens the tunnel, after interim answers, in pieces, with any length that it declares', async (t) => {
  const hub = await startHub(t);
  for (const answer of [
    'HTTP/1.0 200 Connection established\r\nProxy-agent: x\r\n\r\n',
    'HTTP/1.1 204\r\nContent-Length: 7\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nx: y\r\n\r\nHTTP/1.1 299 \r\nTransfer-Encoding: chunked\r\n\r\n',
    'HTTP/1.1 200 OK\n\n',
  ]) {
    const whole = await startProxy(t, (head, socket) => relay(head, socket, answer));
    await open(t, hub, http(whole.port));
    const pieces = await startProxy(t, (head, socket) => {
      let sent = 0;
      const next = () => {
        sent += 1;
        if (sent === answer.length) return relay(head, socket, answer.slice(sent - 1));
        socket.write(answer.slice(sent - 1, sent), () => setImmediate(next));
      };
      next();
    });
    await open(t, hub, http(pieces.port));
  }
});

test('bytes behind the head of the answer are the tunnel’s first', async (t) => {
  // A server that speaks first: its bytes travel in one piece with the proxy's answer.
  const alert = Buffer.from([21, 3, 3, 0, 2, 2, 40]);
  const { code, message } = await refusal(t, (_, socket) => {
    socket.write(Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), alert]));
  });
  assert.equal(code, 'tls-refused');
  assert.match(message, /does not speak TLS 1\.3/);
});

test('a proxy that does not answer, or not as HTTP, ends the attempt', async (t) => {
  const cases: readonly (readonly [(head: string, socket: Socket) => void, WireErrorCode])[] = [
    [() => {}, 'timeout'],
    [says('HTTP/1.1 200 OK\r\nA: b\r\n'), 'timeout'],
    [says('HTTP/1.1 100 Continue\r\n\r\n'), 'timeout'],
    [(_, socket) => socket.end(), 'proxy-answer-invalid'],
    [(_, socket) => socket.end('HTTP/1.1 200 OK\r\n'), 'proxy-answer-invalid'],
    [(_, socket) => socket.resetAndDestroy(), 'proxy-unreachable'],
    [says('SSH-2.0-OpenSSH_9.2\r\n'), 'proxy-answer-invalid'],
    [says('HTTP/2 200 OK\r\n\r\n'), 'proxy-answer-invalid'],
    [says('HTTP/1.1 2000 OK\r\n\r\n'), 'proxy-answer-invalid'],
    [says('\x15\x03\x01\x00\x02\x02\x46'), 'proxy-answer-invalid'],
  ];
  for (const [answer, code] of cases) assert.equal((await refusal(t, answer, { connectTimeoutMs: 300 })).code, code);
});

test('headers and interim answers without end are refused after 16 KiB', async (t) => {
  for (const piece of ['X: y\r\n'.repeat(200), 'x'.repeat(1_000), 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(40)]) {
    let sent = 0;
    const { code } = await refusal(t, (_, socket) => {
      socket.on('close', () => socket.destroy());
      if (!piece.startsWith('HTTP')) socket.write('HTTP/1.1 200 OK\r\n');
      const more = () => {
        if (!socket.writable) return;
        sent += piece.length;
        socket.write(piece, () => setImmediate(more));
      };
      more();
    });
    assert.equal(code, 'proxy-answer-invalid');
    assert.ok(sent < 4_000_000, `read ${sent} bytes`);
  }
});

test('no connection to the proxy is not taken for a hub that is away', async (t) => {
  const server = createTcpServer();
  const port = await listen(t, server);
  server.close();
  await once(server, 'close');
  await assert.rejects(open(t, 1, http(port)), (error: unknown) => {
    assert.ok(error instanceof WireError);
    assert.equal(error.code, 'proxy-unreachable');
    assert.match(error.message, new RegExp(`^the proxy http://127\\.0\\.0\\.1:${port}: no connection`));
    return true;
  });
});

// SECURITY.md: NET-01, NET-15
test('a proxy that opens TLS is no hub, and the error names it', async (t) => {
  const inspecting = await makeTestAuthority('middlebox');
  const hub = await startHub(t);
  let requests = 0;
  const inside = createTlsServer({
    cert: inspecting.server.certificateChainPem,
    key: inspecting.server.privateKeyPem,
  }).on('secureConnection', () => (requests += 1));
  const port = await listen(t, inside);
  const proxy = await startProxy(t, (head, socket) =>
    relay(head.replace(/^CONNECT \S+/, `CONNECT 127.0.0.1:${port}`), socket),
  );
  await assert.rejects(open(t, hub, http(proxy.port)), (error: unknown) => {
    assert.ok(error instanceof WireError);
    assert.equal(error.code, 'other-server');
    assert.match(error.message, new RegExp(`through the proxy http://127\\.0\\.0\\.1:${proxy.port}.*middlebox`));
    return true;
  });
  assert.equal(requests, 0, 'the middlebox saw no finished handshake');
});

test('closing the connection closes the tunnel, and the end of the tunnel ends the connection by name', async (t) => {
  const hub = await startHub(t);
  const sockets: Socket[] = [];
  const proxy = await startProxy(t, (head, socket) => {
    sockets.push(socket);
    relay(head, socket);
  });
  const first = await open(t, hub, http(proxy.port));
  const [atProxy] = sockets;
  assert.ok(atProxy);
  const closed = once(atProxy, 'close');
  await first[Symbol.asyncDispose]();
  await closed;
  const second = await open(t, hub, http(proxy.port));
  sockets[1]?.destroy();
  const reason = await second.closed;
  assert.equal(reason.code, 'connection-lost');
  assert.match(reason.message, /through the proxy http:/);
});

test('giving up ends the attempt at any step', async (t) => {
  const controller = new AbortController();
  const { port } = await startProxy(t, () => controller.abort());
  await assert.rejects(open(t, 1, http(port), { signal: controller.signal }), { code: 'closed' });
});
