// Alerts reach a real receiver through everything between (spec/webhooks.md): log, cursor, queue, TLS; the other end verifies with the library of
// the specification.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { findProgram } from '@edgekeep/cli/program';
import { defaultPolicyText, everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { policyView } from '@edgekeep/wire/api/policy';
import { eventCursorList } from '@edgekeep/wire/api/event';
import { webhookList } from '@edgekeep/wire/api/webhook';
import { makeTestAuthority } from '@edgekeep/wire/link/testing-authority';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { closeAll } from './support/closing.ts';
import { HubWorld } from './support/hub-world.ts';

const message = z.object({ id: z.string(), type: z.string(), data: z.looseObject({ kind: z.string().optional() }) });
type Message = z.infer<typeof message>;

/** A receiver as somebody writes it: it verifies, answers, and keeps what it got. */
class Receiver implements AsyncDisposable {
  readonly got: Message[] = [];
  readonly ids: string[] = [];
  refused = 0;
  status = 204;
  secret = '';
  readonly #credential: { readonly cert: string; readonly key: string };
  #server: Server | undefined;
  #changed = Promise.withResolvers<void>();
  port = 0;

  constructor(credential: { readonly cert: string; readonly key: string }) {
    this.#credential = credential;
  }

  async start(): Promise<void> {
    const server = createServer(this.#credential, (request, response) => {
      const answer = async (): Promise<void> => {
        const body = await buffer(request);
        try {
          const headers = Object.fromEntries(
            Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
          );
          const event = message.parse(new Webhook(this.secret).verify(body, headers));
          if (this.status < 300) this.got.push(event);
          this.ids.push(headers['webhook-id'] ?? '');
        } catch {
          this.refused += 1;
        }
        response.writeHead(this.status).end();
        this.#changed.resolve();
        this.#changed = Promise.withResolvers();
      };
      void answer();
    });
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
    this.#server = server;
  }

  async stop(): Promise<void> {
    this.#server?.closeAllConnections();
    await this.#server?.[Symbol.asyncDispose]();
    this.#server = undefined;
  }

  async until(fits: () => boolean): Promise<void> {
    while (!fits()) await this.#changed.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

let world: HubWorld;
let receiver: Receiver;
before(async () => {
  const authority = await makeTestAuthority('receivers', ['localhost']);
  receiver = new Receiver({ cert: authority.server.certificateChainPem, key: authority.server.privateKeyPem });
  await receiver.start();
  world = await HubWorld.open({
    settings: {
      webhooks: { privateNetworks: ['127.0.0.0/8'] },
      events: { pollMilliseconds: 20 },
      alerts: { policyGivesAllKeys: true },
    },
  });
  await writeFile(join(world.folder, 'ca.pem'), authority.authorityPem);
});
after(async () => closeAll(world, receiver));

async function edgekeep(...words: readonly string[]) {
  const args = [findProgram('@edgekeep/cli/main').file, ...words, '--operator', world.operatorFile];
  return promisify(execFile)(process.execPath, args);
}

/** Applies a policy that gives fewer keys, or all of them: the alert about it closes, and opens again. */
async function changePolicy(): Promise<void> {
  const put = (text: string) => world.operator.send('PUT', '/v1/policy', { text }, policyView);
  await put(defaultPolicyText);
  await put(everyAttestedTpmPolicyText);
}

const typesOf = (events: readonly Message[]) => events.map(({ type, data }) => `${type} ${data.kind ?? ''}`.trim());
const one = async () => (await world.operator.get('/v1/webhooks', webhookList)).webhooks[0];

test('the verbs add a webhook, make its secret in a file and send a test; the secret is printed nowhere', async () => {
  const secretFile = join(world.folder, 'desk.secret');
  const url = `https://localhost:${receiver.port}/hooks/s3cret`;
  const added = await edgekeep('webhook', 'add', 'desk', '--url', url, '--ca', join(world.folder, 'ca.pem'));
  assert.match(added.stdout, /^desk gets alerts at https:\/\/localhost:\d+; it gets nothing before/);
  const rolled = await edgekeep('webhook', 'roll-secret', 'desk', '--out', secretFile, '--json');
  receiver.secret = (await readFile(secretFile, 'utf8')).trim();
  assert.equal((await stat(secretFile)).mode & 0o777, 0o600);
  assert.match(receiver.secret, /^whsec_/);
  assert.equal((await edgekeep('webhook', 'test', 'desk')).stdout, 'desk took it (204)\n');
  assert.deepEqual(typesOf(receiver.got), ['edgekeep.webhook.test']);
  const listed = await edgekeep('webhook', 'list', '--json');
  const entries = JSON.stringify(await world.entries('webhook-added'));
  for (const text of [rolled.stdout, rolled.stderr, listed.stdout, entries])
    assert.ok(!text.includes(receiver.secret) && !text.includes('s3cret'), text);
});

test('what happens to an alert arrives in order and verifies', async () => {
  receiver.got.length = 0;
  await changePolicy();
  await receiver.until(() => receiver.got.length >= 2);
  assert.deepEqual(typesOf(receiver.got), [
    'edgekeep.alert.closed policy-gives-all-keys',
    'edgekeep.alert.raised policy-gives-all-keys',
  ]);
  assert.equal(receiver.refused, 0);
});

test('what happens while the receiver is away, over a start of the hub, arrives when it is back', async () => {
  receiver.got.length = 0;
  await receiver.stop();
  await changePolicy();
  while ((await one())?.problem === null);
  assert.match((await one())?.problem ?? '', /ECONNREFUSED/);
  await world.restart();
  assert.equal((await one())?.waiting, 2);
  await receiver.start();
  world.clock.advanceSeconds(30);
  await receiver.until(() => receiver.got.length >= 2);
  assert.deepEqual(typesOf(receiver.got), [
    'edgekeep.alert.closed policy-gives-all-keys',
    'edgekeep.alert.raised policy-gives-all-keys',
  ]);
  while ((await one())?.waiting !== 0);
});

test('a cursor that is set back lets the webhook get what it got before, under the same ids', async () => {
  const before = new Set(receiver.ids);
  receiver.got.length = 0;
  const { cursors } = await world.operator.get('/v1/event-cursors', eventCursorList);
  assert.deepEqual(
    cursors.map(({ name, used, failures }) => [name, used, failures]),
    [['webhooks', true, 0]],
  );
  const moved = await edgekeep('event', 'reset-cursor', 'webhooks', '--to', '0', '--reason', 'the desk lost them');
  assert.match(moved.stdout, /^webhooks continues at entry 0\n/);
  await receiver.until(() => receiver.got.length >= 4);
  assert.ok(receiver.ids.every((id) => before.has(id) || id.includes('test')));
  const metrics = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  assert.match(metrics, /edgekeep_webhook_deliveries_total\{webhook="desk",outcome="delivered"\} [1-9]/);
  assert.match(metrics, /edgekeep_event_lag_entries\{cursor="webhooks"\} \d/);
});

test('410 ends it until somebody enables it; its dead letters are listed and sent again', async () => {
  receiver.status = 410;
  await changePolicy();
  while ((await one())?.disabledReason === null);
  receiver.status = 204;
  receiver.got.length = 0;
  const letters = await edgekeep('webhook', 'dead-letters', 'desk');
  assert.match(letters.stdout, /the receiver answered 410/);
  await edgekeep('webhook', 'enable', 'desk');
  assert.match((await edgekeep('webhook', 'retry', 'desk', '--all')).stdout, /^desk: [12] dead letters? sent again\n/);
  await receiver.until(() => receiver.got.length >= 2);
  assert.equal((await edgekeep('webhook', 'remove', 'desk')).stdout, 'desk gets nothing any more\n');
  assert.equal((await edgekeep('webhook', 'list')).stdout, 'no webhooks\n');
});

// SECURITY.md: HUB-114
test('a webhook at an address that the hub does not connect to is refused, or gets nothing when its name leads there', async () => {
  const add = (url: string) => world.operator.send('POST', '/v1/webhooks', { name: 'thief', url }, z.unknown());
  for (const url of ['https://169.254.169.254/latest', 'https://[::ffff:169.254.169.254]/', 'https://10.0.0.1/'])
    await assert.rejects(add(url), /does not connect to this address/);
  for (const url of ['http://desk.example/', 'https://a:b@desk.example/', 'https://2852039166/', 'file:///etc/passwd'])
    await assert.rejects(add(url), /url/);
});
