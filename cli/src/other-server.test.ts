// No hub at the address, and another server there, are different messages.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTcpServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { z } from 'zod';
import { operatorFromFile } from './operator.ts';
import { Unreachable } from './refusal.ts';

const own = await makeTestAuthority('own hub');
const other = await makeTestAuthority('another hub');

async function saidOf(server: Server | undefined): Promise<Unreachable> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-other-'));
  try {
    const listening = server ?? createTcpServer();
    listening.listen(0, '127.0.0.1');
    await once(listening, 'listening');
    const address = listening.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    if (server === undefined) await new Promise((resolve) => listening.close(resolve));
    const file = join(folder, 'operator.json');
    const access = { url: `https://127.0.0.1:${port}`, serverName: 'localhost', root: own.authorityPem, token: 'ek_x' };
    await writeFile(file, JSON.stringify(access), { mode: 0o600 });
    const operator = await operatorFromFile(file);
    const error: unknown = await operator.get('/v1/hub', z.unknown()).catch((caught: unknown) => caught);
    server?.close();
    assert.ok(error instanceof Unreachable, String(error));
    return error;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const received: string[] = [];
const note = ({ headers }: IncomingMessage) => received.push(String(headers.authorization));
const tlsOf = ({ server }: typeof own) => ({ cert: server.certificateChainPem, key: server.privateKeyPem });

test('nobody at the address is said as that', async () => {
  const { code, message } = await saidOf(undefined);
  assert.equal(code, 'unreachable');
  assert.match(message, /cannot be reached: no connection \(ECONNREFUSED\).*is `edgekeep hub run` running/i);
});

test('a plain web server, a server under another root and an older TLS are each said, and get no token', async () => {
  for (const [server, words] of [
    [
      createHttpServer((request, response) => (note(request), response.end())),
      /a program without TLS answers there, by HTTP \(status 200\)/,
    ],
    [
      createHttpsServer(tlsOf(other), (request) => note(request)),
      /another hub answers there: .*issuer "CN=another hub"/,
    ],
    [createHttpsServer({ ...tlsOf(own), maxVersion: 'TLSv1.2' }, (request) => note(request)), /does not speak TLS 1.3/],
  ] as const) {
    const { code, message } = await saidOf(server);
    assert.equal(code, 'other-server', message);
    assert.match(message, words);
  }
  // The web server was asked once who it is.
  assert.deepEqual(received, ['undefined']);
});
