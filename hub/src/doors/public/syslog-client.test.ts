import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { parseHubSettings } from '../../settings.ts';
import { sendSyslog } from './syslog-client.ts';

let folder: string;
let server: Server;
let onSocket: (socket: TLSSocket) => void;
let port = 0;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-syslog-'));
  const authority = await makeTestAuthority('syslog', ['localhost']);
  await writeFile(join(folder, 'ca.pem'), authority.authorityPem);
  await writeFile(join(folder, 'other.pem'), (await makeTestAuthority('other', ['localhost'])).authorityPem);
  const { certificateChainPem: cert, privateKeyPem: key } = authority.server;
  server = createServer({ cert, key }, (socket) => onSocket(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  port = typeof address === 'object' && address !== null ? address.port : 0;
});
after(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

function send(frames: readonly string[], over: { host?: string; ca?: string; signal?: AbortSignal } = {}) {
  const { host = 'localhost', ca = 'ca.pem', signal = new AbortController().signal } = over;
  const servers = [{ name: 'siem', host, port, caFile: join(folder, ca) }];
  const [settings] = parseHubSettings({ syslog: { servers } }, 'test').syslog.servers;
  if (settings === undefined) throw new TypeError('no server');
  return sendSyslog(
    settings,
    frames.map((text) => Buffer.from(text)),
    signal,
  );
}

test('a batch is sent when the server has read all of it and ended its side', async () => {
  let got = '';
  onSocket = (socket) => {
    socket.setEncoding('utf8').on('data', (text: string) => {
      got += text;
    });
  };
  const frames = Array.from({ length: 200 }, (_, at) => `${at} ${'x'.repeat(5_000)}`);
  await send(frames);
  assert.equal(got, frames.join(''));
});

// SECURITY.md: HUB-117
test('a server that breaks off, ends early or leaves bytes unread has not taken the batch', async () => {
  const frames = Array.from({ length: 2_000 }, () => 'x'.repeat(5_000));
  onSocket = (socket) => void socket.on('error', () => undefined).once('data', () => socket.destroy());
  await assert.rejects(send(frames), 'breaks off');
  onSocket = (socket) => void socket.on('error', () => undefined).end();
  await assert.rejects(send(frames), 'ends early');
  onSocket = (socket) =>
    void socket
      .on('error', () => undefined)
      .pause()
      .end();
  await assert.rejects(send(frames), 'leaves bytes unread');
});

// SECURITY.md: HUB-117
test('a server by another authority, or with another name, gets nothing', async () => {
  let bytes = 0;
  onSocket = (socket) =>
    void socket.on('data', (chunk: Buffer) => (bytes += chunk.length)).on('error', () => undefined);
  await assert.rejects(send(['one'], { ca: 'other.pem' }), /certificate|signature|self-signed/);
  await assert.rejects(send(['one'], { host: '127.0.0.2' }), /IP|altnames|ECONNREFUSED/);
  assert.equal(bytes, 0);
});

test('the end of the hub ends a batch that a silent server holds up', async () => {
  const stop = new AbortController();
  const connected = Promise.withResolvers<void>();
  onSocket = (socket) => {
    socket.pause();
    connected.resolve();
  };
  const sent = send(
    Array.from({ length: 4_000 }, () => 'x'.repeat(5_000)),
    { signal: stop.signal },
  );
  await connected.promise;
  stop.abort();
  await assert.rejects(sent);
});
