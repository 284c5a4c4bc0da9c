import assert from 'node:assert/strict';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { text } from 'node:stream/consumers';
import { LocalServer, sendJson } from './local-server.ts';

/** Sends these bytes and reads until the server closes. */
async function exchange(where: { path: string } | { port: number }, request: string): Promise<string> {
  const socket = connect({ ...where, host: '127.0.0.1' });
  socket.write(request);
  return text(socket);
}

const status = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
const get = (path: string, ...headers: readonly string[]) =>
  [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', 'Connection: close', ...headers, '', ''].join('\r\n');

const echo = async (
  { segments, query }: { segments: readonly string[]; query: URLSearchParams },
  response: Parameters<typeof sendJson>[0],
) => {
  if (segments[0] === 'fail') throw new Error('secret detail');
  sendJson(response, { segments, nonce: query.get('nonce') });
};

test('a request on the socket is answered, and the socket has the mode that was asked for', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-local-'));
  try {
    const path = join(folder, 'agent.sock');
    await using _ = await LocalServer.open({ kind: 'socket', path, mode: 0o600 }, echo);
    const answer = await exchange({ path }, get('/models/a/files/b%2Fc?nonce=1'));
    assert.match(answer, /\{"segments":\["models","a","files","b\/c"\],"nonce":"1"\}/);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('everything but a plain GET is refused', async () => {
  await using server = await LocalServer.open({ kind: 'loopback', port: 0 }, echo);
  const where = { port: server.port ?? 0 };
  assert.equal(status(await exchange(where, get('/a'))), 200);
  assert.equal(status(await exchange(where, get('/a').replace('GET', 'POST'))), 405);
  assert.equal(status(await exchange(where, get('/a', 'Content-Length: 3') + 'abc')), 413);
  assert.equal(status(await exchange(where, get('/%zz'))), 400);
  assert.equal(status(await exchange(where, get(`/${'a'.repeat(3_000)}`))), 400);
  assert.equal(status(await exchange(where, get('/a', `X: ${'a'.repeat(10_000)}`))), 431);
  assert.equal(status(await exchange(where, 'nonsense\r\n\r\n')), 400);
});

// SECURITY.md: DEV-43
test('a web page gets nothing on loopback, under any name for 127.0.0.1', async () => {
  await using server = await LocalServer.open({ kind: 'loopback', port: 0 }, echo);
  const where = { port: server.port ?? 0 };
  assert.equal(status(await exchange(where, get('/a', 'Origin: https://page.example'))), 403);
  assert.equal(status(await exchange(where, get('/a').replace('Host: 127.0.0.1', 'Host: page.example'))), 403);
  assert.equal(
    status(await exchange(where, get('/a').replace('Host: 127.0.0.1', `Host: localhost:${where.port}`))),
    200,
  );
});

test('a failure says nothing about its cause', async () => {
  await using server = await LocalServer.open({ kind: 'loopback', port: 0 }, echo);
  const answer = await exchange({ port: server.port ?? 0 }, get('/fail'));
  assert.equal(status(answer), 500);
  assert.doesNotMatch(answer, /secret/);
});
