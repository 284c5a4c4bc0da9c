// What happens, as clients follow it by server-sent events (spec/events.md): curl, and the library `eventsource`.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { appendEntry } from '@edgekeep/hub/audit/append';
import { Database } from '@edgekeep/hub/store/database';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { groupView } from '@edgekeep/wire/api/registry';
import { EventSource } from 'eventsource';
import { z } from 'zod';
import { assertRefused } from './support/answer.ts';
import { ending } from './support/child.ts';
import { HubWorld } from './support/hub-world.ts';

const skipCurl = await skipWithout('curl');
const entry = z.object({ index: z.number(), kind: z.string(), subject: z.string() });
let world: HubWorld;
before(async () => {
  world = await HubWorld.open({ settings: { events: { pollMilliseconds: 20, maxStalledSeconds: 1 } } });
});
after(async () => world[Symbol.asyncDispose]());

let made = 0;
/** Does something that has an entry of the log. */
async function act(): Promise<string> {
  made += 1;
  const name = `group-${made}`;
  await world.operator.send('POST', '/v1/groups', { name }, groupView);
  return `group:${name}`;
}

/** A stream as bytes. */
async function open(token: string, path = '/v1/events', headers: Readonly<Record<string, string>> = {}) {
  const { host: hostname, port } = world.hub.operatorAddress;
  const trust = { ca: world.hub.rootPem, servername: 'localhost' };
  const outgoing = request({
    ...trust,
    hostname,
    port,
    path,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  outgoing.end();
  const [response]: IncomingMessage[] = await once(outgoing, 'response');
  if (response === undefined) throw new TypeError('no response');
  return response;
}

/** Reads until `fits`, or to the end of the stream. */
async function readUntil(stream: Readable, fits: (text: string) => boolean): Promise<string> {
  let text = '';
  stream.setEncoding('utf8');
  for await (const piece of stream.iterator({ destroyOnReturn: false })) {
    text += String(piece);
    if (fits(text)) return text;
  }
  return text;
}

test('curl follows what happens, by kind, as the standard writes it', { skip: skipCurl }, async () => {
  const { host, port } = world.hub.operatorAddress;
  const root = join(world.folder, 'root.pem');
  await writeFile(root, world.hub.rootPem);
  const url = `https://localhost:${port}/v1/events?kind=group-created&kind=none`;
  const place = ['--connect-to', `localhost:${port}:${host}:${port}`];
  const words = ['-sNi', '--cacert', root, '-H', `authorization: Bearer ${await world.adminToken()}`, ...place, url];
  const child = spawn('curl', words, { stdio: ['ignore', 'pipe', 'inherit'] });
  await using _ = ending(child);
  const head = await readUntil(
    child.stdout,
    (text) => text.includes('\n\nid') || /retry: 5000\nid: \d+\n\n/.test(text),
  );
  assert.match(head, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(head, /\r\ncontent-type: text\/event-stream(?:; ?charset=utf-8)?\r\n/i);
  assert.match(head, /\r\ncache-control: no-store\r\n/i);
  const subject = await act();
  const text = await readUntil(child.stdout, (seen) => seen.includes('data: '));
  const [, id, data = ''] = /^id: (\d+)\ndata: (\{.*\})\n\n$/m.exec(text) ?? [];
  const event = entry.parse(JSON.parse(data));
  assert.deepEqual([event.kind, event.subject, Number(id)], ['group-created', subject, event.index + 1]);
});

test('a client that lost its connection goes on where it was, and misses nothing', async () => {
  const got: z.infer<typeof entry>[] = [];
  const asked: (string | null)[] = [];
  let connection: IncomingMessage | undefined;
  const changed = { next: Promise.withResolvers<void>() };
  const source = new EventSource('https://localhost/v1/events?kind=group-created', {
    fetch: async (_url, { headers }) => {
      const last = new Headers(headers).get('last-event-id');
      asked.push(last);
      const shown: Readonly<Record<string, string>> = last === null ? {} : { 'last-event-id': last };
      connection = await open(await world.adminToken(), '/v1/events?kind=group-created', shown);
      const body = new ReadableStream({
        start: (controller) => {
          connection?.on('data', (chunk: Uint8Array) => controller.enqueue(new Uint8Array(chunk)));
          connection?.once('close', () => controller.close());
          connection?.on('error', () => undefined);
        },
      });
      return new Response(body, { status: 200, headers: { 'content-type': 'text/event-stream' } });
    },
  });
  source.addEventListener('message', ({ data }) => {
    got.push(entry.parse(JSON.parse(String(data))));
    changed.next.resolve();
    changed.next = Promise.withResolvers();
  });
  const until = async (count: number) => {
    while (got.length < count) await changed.next.promise;
  };
  try {
    await once(source, 'open').catch(() => undefined);
    const subjects = [await act()];
    await until(1);
    connection?.destroy();
    subjects.push(await act(), await act());
    await until(3);
    subjects.push(await act());
    await until(4);
    assert.deepEqual(
      got.map(({ subject }) => subject),
      subjects,
    );
    assert.equal(asked[0], null);
    assert.equal(asked[1], String((got[0]?.index ?? 0) + 1));
  } finally {
    source.close();
    connection?.destroy();
  }
});

// SECURITY.md: HUB-118
test('a stream ends when its token is revoked, and the client is refused when it comes again', async () => {
  const token = await world.apiToken(['audit:read']);
  const stream = await open(token);
  await readUntil(stream, (text) => text.includes('retry'));
  await world.operator.send('POST', '/v1/tokens/test/revoke', {}, z.unknown());
  await act();
  const rest = await readUntil(stream, () => false);
  assert.ok(stream.complete);
  assert.ok(!rest.includes('group-created'), rest);
  assertRefused(await world.askOperator('GET', '/v1/events', { token }), { status: 401, code: 'token-refused' });
});

// SECURITY.md: HUB-118
test('a stream ends when its token ends', async () => {
  const stream = await open(await world.apiToken(['audit:read'], 60));
  await readUntil(stream, (text) => text.includes('retry'));
  world.clock.advanceSeconds(61);
  await readUntil(stream, () => false);
  assert.ok(stream.complete);
});

// SECURITY.md: HUB-118
test('a token without the scope follows nothing, and a stream of another log is refused', async () => {
  const token = await world.apiToken(['devices:read']);
  assertRefused(await world.askOperator('GET', '/v1/events', { token }), { status: 403, code: 'scope-missing' });
  const admin = await world.adminToken();
  const ask = (path: string, last?: string) =>
    world.askOperator('GET', path, { token: admin, headers: last === undefined ? {} : { 'last-event-id': last } });
  for (const last of ['999999', '-1', '1.5', 'x', '1e3'])
    assertRefused(await ask('/v1/events', last), { status: 400, code: 'request-invalid' });
  assertRefused(await ask('/v1/events?from=999999'), { status: 400, code: 'request-invalid' });
  assertRefused(await ask('/v1/events?kind=A%0Ab'), { status: 400, code: 'request-invalid' });
});

// SECURITY.md: HUB-119
test('a person has eight streams, and the next one when one of them has ended; other requests go on', async () => {
  const token = await world.apiToken(['audit:read']);
  const streams: IncomingMessage[] = [];
  for (let at = 0; at < 8; at += 1) streams.push(await open(token, '/v1/events?from=0'));
  assertRefused(await world.askOperator('GET', '/v1/events', { token }), { status: 429, code: 'rate-limited' });
  assert.equal((await world.askOperator('GET', '/v1/audit', { token })).status, 200);
  const metrics = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  assert.match(metrics, /^edgekeep_event_streams 8$/m);
  streams[0]?.destroy();
  for (;;) {
    const again = await open(token, '/v1/events?from=0');
    if (again.statusCode === 200) {
      streams.push(again);
      break;
    }
    again.destroy();
  }
  for (const stream of streams) stream.destroy();
});

test('from the beginning the whole log comes, entry by entry, and a hub that ends lets its streams end', async () => {
  const stream = await open(await world.adminToken(), '/v1/events?from=0');
  const subject = await act();
  const text = await readUntil(stream, (seen) => seen.includes(`"${subject}"`));
  const indexes = [...text.matchAll(/^data: (.*)$/gm)].map(([, data = '']) => entry.parse(JSON.parse(data)).index);
  assert.deepEqual(indexes, [...Array.from({ length: indexes.length }).keys()]);
  stream.on('error', () => undefined);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  await world.restart();
  await closed;
});

// SECURITY.md: HUB-119
test('a client that takes nothing is cut, while one that reads slowly gets everything', async () => {
  await world.stop();
  {
    // More than what lies in the buffers between both ends.
    await using database = await Database.open(world.storeFile);
    const data = { text: 'x'.repeat(7_000) };
    for (let group = 0; group < 20; group += 1)
      await database.write(async (trx) => {
        const event = { at: world.clock.now(), kind: 'padding', actor: 'hub', subject: 'log:x', data };
        for (let at = 0; at < 100; at += 1) await appendEntry(trx, event);
      });
  }
  await world.start();
  const token = await world.adminToken();
  const metrics = async () => Buffer.from(await world.operator.getBytes('/metrics')).toString();
  const stalled = await open(token, '/v1/events?from=0&kind=padding');
  assert.match(await metrics(), /^edgekeep_event_streams 1$/m);
  while (!/^edgekeep_event_streams 0$/m.test(await metrics()));
  stalled.destroy();
  const slow = await open(token, '/v1/events?from=0&kind=padding');
  let events = 0;
  await readUntil(slow, (text) => {
    events = text.match(/^data: /gm)?.length ?? 0;
    return events >= 2_000;
  });
  assert.equal(events, 2_000);
  slow.destroy();
});
