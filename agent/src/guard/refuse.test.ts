import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { connect as connectHttp2 } from 'node:http2';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { z } from 'zod';
import { refuse } from './refuse.ts';
import { refusedByHub, notYet, type Unavailable } from './unavailable.ts';

async function refusing(unavailable: Unavailable, use: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-refuse-'));
  const path = join(folder, 'x.sock');
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined);
    refuse(socket, unavailable);
  });
  server.listen(path);
  await once(server, 'listening');
  try {
    await use(path);
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}

test('a gRPC call gets the reason, and a status that says whether asking again can help', async () => {
  for (const [unavailable, code] of [
    [notYet, '14'],
    [refusedByHub('not-found'), '9'],
  ] as const) {
    await refusing(unavailable, async (path) => {
      const session = connectHttp2('http://localhost', { createConnection: () => connect(path) });
      const stream = session.request({ ':method': 'POST', ':path': '/x', 'content-type': 'application/grpc' });
      stream.end(Buffer.alloc(100_000));
      const [headers] = z
        .tuple([z.looseObject({})])
        .rest(z.unknown())
        .parse(await once(stream, 'response'));
      stream.resume();
      session.destroy();
      assert.equal(headers['grpc-status'], code);
      assert.equal(decodeURIComponent(String(headers['grpc-message'])), `model-unavailable: ${unavailable.why}`);
    });
  }
});

test('a client that sends its whole body before it reads gets the refusal', async () => {
  await refusing(notYet, async (path) => {
    const answer = Promise.withResolvers<string>();
    const sent = request({ socketPath: path, method: 'POST', path: '/v2/models/m/infer' }, (response) => {
      text(response).then(answer.resolve, answer.reject);
    });
    sent.on('error', answer.reject);
    sent.end(Buffer.alloc(8 * 1024 * 1024));
    assert.match(await answer.promise, /^\{"error":"model-unavailable: /);
  });
});

test('a client that says nothing is closed', async () => {
  await refusing(notYet, async (path) => {
    const socket = connect(path);
    await once(socket, 'close');
  });
});
