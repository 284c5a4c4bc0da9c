import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { makeTestAuthority, type TestAuthority } from '@edgekeep/wire/link/testing-authority';
import { webhookClient } from './webhook-client.ts';

let authority: TestAuthority;
let server: Server;
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let port = 0;
let connections = 0;
before(async () => {
  authority = await makeTestAuthority('receivers', ['receiver.example']);
  const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
  server = createServer({ cert, key }, (request, response) => answer(request, response));
  server.on('secureConnection', () => {
    connections += 1;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const loopback = async () => [{ address: '127.0.0.1' }];
function post(over: { path?: string; trusted?: string | null; permitted?: string[]; signal?: AbortSignal } = {}) {
  const { path = '/hook', trusted = authority.authorityPem, permitted = ['127.0.0.0/8'], signal } = over;
  return webhookClient({ permitted, resolve: loopback })({
    url: `https://receiver.example:${port}${path}`,
    headers: { 'webhook-id': 'a' },
    body: Buffer.from('{}'),
    trustedPem: trusted,
    signal: signal ?? new AbortController().signal,
  });
}

test('the message is one POST at the checked address, with the name of the receiver', async () => {
  const seen: unknown[] = [];
  answer = (request, response) => {
    const { method, url, headers } = request;
    seen.push([method, url, headers.host, headers['webhook-id'], headers['content-length']]);
    response.writeHead(204).end();
  };
  assert.deepEqual(await post({ path: '/hook?a=1' }), { status: 204, retryAfter: undefined });
  assert.deepEqual(seen, [['POST', '/hook?a=1', `receiver.example:${port}`, 'a', '2']]);
});

// SECURITY.md: HUB-114
test('no connection is made to an address that is refused, also not where the name leads to it', async () => {
  const before = connections;
  await assert.rejects(post({ permitted: [] }), RangeError);
  assert.equal(connections, before);
});

// SECURITY.md: HUB-114
test('a redirect is an answer: the hub follows it nowhere', async () => {
  let requests = 0;
  answer = (_request, response) => {
    requests += 1;
    response.writeHead(307, { location: 'https://169.254.169.254/' }).end();
  };
  assert.equal((await post()).status, 307);
  assert.equal(requests, 1);
});

// SECURITY.md: HUB-113
test('a receiver whose certificate is for another name, or by another authority, gets nothing', async () => {
  let requests = 0;
  answer = (_request, response) => {
    requests += 1;
    response.end();
  };
  const other = await makeTestAuthority('others', ['receiver.example']);
  await assert.rejects(post({ trusted: other.authorityPem }), /certificate|signature/);
  await assert.rejects(post({ trusted: null }), /not by an authority that the hub trusts for it: .* with --ca FILE$/);
  const elsewhere = webhookClient({ permitted: ['127.0.0.0/8'], resolve: loopback });
  const url = `https://elsewhere.example:${port}/`;
  const { signal } = new AbortController();
  const body = Buffer.from('{}');
  const sent = elsewhere({ url, headers: {}, body, trustedPem: authority.authorityPem, signal });
  await assert.rejects(sent, /altnames/);
  assert.equal(requests, 0);
});

test('the status counts, also before a long body or one that breaks off', async () => {
  answer = (_request, response) => response.writeHead(200).end('x'.repeat(1_000_000));
  assert.equal((await post()).status, 200);
  answer = (_request, response) => {
    response.writeHead(503, { 'retry-after': '120' });
    response.write('x', () => response.destroy());
  };
  assert.deepEqual(await post(), { status: 503, retryAfter: '120' });
});

test('a receiver that closes without an answer, or sends headers without an end, is a failure', async () => {
  answer = (request) => request.socket.destroy();
  await assert.rejects(post());
  answer = (_request, response) => response.writeHead(200, { a: 'x'.repeat(20_000) }).end();
  await assert.rejects(post(), /[Hh]eader/);
});

test('the end of the hub ends a message that waits for its answer', async () => {
  const asked = Promise.withResolvers<void>();
  answer = () => asked.resolve();
  const stop = new AbortController();
  const sent = post({ signal: stop.signal });
  await asked.promise;
  stop.abort();
  await assert.rejects(sent, { name: 'AbortError' });
});
