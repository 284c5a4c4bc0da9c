import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import type { WebhookRequest } from '@edgekeep/wire/api/webhook';
import { Webhook } from 'standardwebhooks';
import { closeAlert, raiseAlert } from '../alert/alerts.ts';
import { alertEventsOf } from '../event/alert-events.ts';
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { PlatformKey } from '../secrets/platform-key.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import { webhookAlarm } from './alarm.ts';
import { countsOf, dropLetters, enqueue, listDead, retryLetters } from './deliveries.ts';
import { addWebhook, enableWebhook, getWebhook, removeWebhook } from './destinations.ts';
import { rollWebhookSecret, webhookSecrets } from './secrets.ts';
import { type PostWebhook, WebhookSender } from './sender.ts';

let store: TestStore;
let platformKey: PlatformKey;
let nowMs = Date.now();
const clock = () => nowMs;
const actor = 'person:ada/0';
beforeEach(async () => {
  nowMs = Date.now();
  store = await openTestStore();
  platformKey = new PlatformKey(new Map([[1, randomBytes(32)]]));
});
afterEach(async () => store[Symbol.asyncDispose]());

type Posted = Parameters<PostWebhook>[0];
interface Answer {
  readonly status: number;
  readonly retryAfter?: string;
}

/** A sender whose receivers answer as `answerOf` says; `undefined` is no answer. */
function openSender(answerOf: (posted: Posted) => Answer | undefined = () => ({ status: 204 })) {
  const posted: Posted[] = [];
  const counted: string[] = [];
  const sender = new WebhookSender({
    database: store.database,
    platformKey,
    clock,
    origin: 'edgekeep.test/log',
    random: () => 0,
    post: async (request) => {
      posted.push(request);
      const answer = answerOf(request);
      if (answer === undefined) throw new Error('connect ECONNREFUSED\n');
      return {
        retryAfter: undefined,
        ...answer,
      };
    },
    count: (webhook, outcome) => counted.push(`${webhook} ${outcome}`),
  });
  const { signal } = new AbortController();
  return { sender, posted, counted, run: () => sender.job.run(signal) };
}

const add = (name: string, over: Partial<WebhookRequest> = {}) =>
  addWebhook(store.database, {
    ...({
      name,
      url: `https://${name}.example/hook/s3cret`,
      signing: 'hmac-sha256',
      minSeverity: 'low',
    } as const),
    kinds: [],
    trustedPem: null,
    actor,
    nowMs,
    ...over,
  });
const roll = (name: string, overlapSeconds = 0) =>
  rollWebhookSecret(store.database, platformKey, { name, overlapSeconds, actor, nowMs });

/** Raises an alert, and puts what the log says of it before the webhooks. */
async function raise(detail: string, severity: 'low' | 'high' | 'critical' = 'high') {
  const { database } = store;
  const title = `clone ${detail}`;
  const { id } = await database.write((trx) =>
    raiseAlert(trx, {
      kind: 'clone',
      severity,
      subject: { deviceId: 'press-7' },
      detail,
      title,
      data: { a: 1 },
      nowMs,
    }),
  );
  await follow(id);
  return id;
}
let followed = 0;
async function follow(from: number) {
  const { database } = store;
  const rows = await database.read.selectFrom('audit_entry').selectAll().where('log_index', '>=', from).execute();
  const events = rows.map(({ log_index: index, entry }) => ({ ...parseAuditEntry(entry), index }));
  followed = events.length;
  const alerts = await alertEventsOf(database.read, events);
  await database.write((trx) => enqueue(trx, alerts, nowMs));
}

test('an alert is sent once, signed, as a CloudEvent that names log and entry', async () => {
  await add('desk');
  const { secret } = await roll('desk');
  const id = await raise('one');
  const { run, posted, counted } = openSender();
  await run();
  await run();
  assert.deepEqual([posted.length, counted], [1, ['desk delivered']]);
  const [message] = posted;
  assert.equal(message?.url, 'https://desk.example/hook/s3cret');
  assert.equal(message?.headers['content-type'], 'application/cloudevents+json; charset=utf-8');
  const payload = Buffer.from(message?.body ?? []);
  assert.deepEqual(new Webhook(secret ?? '').verify(payload, { ...message?.headers }), {
    specversion: '1.0',
    id: String(id),
    source: 'urn:edgekeep:log:edgekeep.test/log',
    type: 'edgekeep.alert.raised',
    time: new Date(nowMs).toISOString(),
    subject: 'device:press-7',
    datacontenttype: 'application/json',
    data: {
      alert: id,
      kind: 'clone',
      severity: 'high',
      subject: 'device:press-7',
      title: 'clone one',
      actor: 'hub',
      note: null,
      data: { a: 1 },
    },
  });
});

test('what becomes of an alert is sent too, with what it is about: graver, closed', async () => {
  await add('desk', { minSeverity: 'critical' });
  await roll('desk');
  const id = await raise('one', 'low');
  const again = { kind: 'clone', subject: { deviceId: 'press-7' }, detail: 'one', data: {}, nowMs } as const;
  await store.database.write((trx) => raiseAlert(trx, { ...again, severity: 'critical', title: 'it is worse' }));
  await closeAlert(store.database, { id, actor, note: 'found', nowMs });
  await follow(id + 1);
  const { run, posted } = openSender();
  await run();
  const sent = posted.map(({ body }) => JSON.parse(Buffer.from(body).toString('utf8')));
  assert.deepEqual(
    sent.map(({ type, data }) => [type, data.alert, data.severity, data.title, data.note]),
    [
      ['edgekeep.alert.escalated', id, 'critical', 'it is worse', null],
      ['edgekeep.alert.closed', id, 'critical', 'clone one', 'found'],
    ],
  );
});

test('a webhook gets the alerts that it asks for, from its own beginning on', async () => {
  const before = await raise('before');
  await add('grave', { minSeverity: 'high' });
  await add('other', { kinds: ['log-fork'] });
  for (const name of ['grave', 'other']) await roll(name);
  await raise('minor', 'low');
  await raise('major', 'critical');
  await follow(before);
  const { run, posted } = openSender();
  await run();
  assert.deepEqual(
    posted.map(({ url, body }) => [new URL(url).host, JSON.parse(Buffer.from(body).toString()).data.title]),
    [['grave.example', 'clone major']],
  );
  assert.ok(followed > 3);
});

test('a message that failed comes again by the schedule with the same id and another time, and is a dead letter in the end', async () => {
  await add('desk');
  await roll('desk');
  const id = await raise('one');
  const { run, posted, counted } = openSender(() => ({ status: 500 }));
  await run();
  await run();
  assert.equal(posted.length, 1);
  for (let times = 0; times < 12; times += 1) {
    nowMs += 24 * 3_600_000;
    await run();
  }
  assert.equal(posted.length, 10);
  assert.equal(new Set(posted.map(({ headers }) => headers['webhook-id'])).size, 1);
  assert.equal(new Set(posted.map(({ headers }) => headers['webhook-timestamp'])).size, 10);
  assert.equal(counted.at(-1), 'desk dead');
  const [letter] = await listDead(store.database.read, { webhook: 'desk', after: -1, limit: 10 });
  assert.deepEqual([letter?.log_index, letter?.attempts, letter?.problem], [id, 10, 'the receiver answered 500']);
});

test('dead letters are sent again or given up as a person orders, with an entry', async () => {
  await add('desk');
  await roll('desk');
  const ids = [await raise('one'), await raise('two'), await raise('three')];
  await store.database.write((trx) => trx.updateTable('webhook_delivery').set({ state: 'dead' }).execute());
  const order = { name: 'desk', actor, nowMs };
  assert.equal(await retryLetters(store.database, { ...order, letters: [ids[0] ?? 0, 999] }), 1);
  assert.equal(await dropLetters(store.database, { ...order, letters: 'all', reason: 'old' }), 2);
  assert.equal(await dropLetters(store.database, { ...order, letters: 'all', reason: 'old' }), 0);
  const { run, posted } = openSender();
  await run();
  assert.equal(posted.length, 1);
  const kinds = (await auditEntries(store.database)).slice(-2).map(({ kind, data }) => [kind, data]);
  assert.deepEqual(kinds, [
    ['dead-letters-retried', { letters: 1 }],
    ['dead-letters-dropped', { letters: 2, reason: 'old' }],
  ]);
  await assert.rejects(retryLetters(store.database, { ...order, name: 'none', letters: 'all' }), { code: 'not-found' });
});

test('410 disables the webhook, with an alert; enabled again it gets what happens from then on', async () => {
  await add('desk');
  await roll('desk');
  await raise('one');
  await raise('two');
  let status = 410;
  const { run, posted } = openSender(() => ({ status }));
  await run();
  await run();
  assert.equal(posted.length, 1);
  assert.match((await getWebhook(store.database.read, 'desk')).disabled_reason ?? '', /410/);
  const { signal } = new AbortController();
  await webhookAlarm({ database: store.database, clock, maxLagSeconds: 300 }).run(signal);
  const open = await store.database.read
    .selectFrom('alert')
    .selectAll()
    .where('kind', '=', 'webhook-failing')
    .execute();
  assert.deepEqual(
    open.map(({ subject, state }) => [subject, state]),
    [['webhook:desk', 'open']],
  );
  await raise('while off');
  status = 200;
  await enableWebhook(store.database, { name: 'desk', actor, nowMs });
  await run();
  assert.equal(posted.length, 2);
  await dropLetters(store.database, { name: 'desk', letters: 'all', reason: 'x', actor, nowMs });
  await webhookAlarm({ database: store.database, clock, maxLagSeconds: 300 }).run(signal);
  const closed = await store.database.read
    .selectFrom('alert')
    .select('state')
    .where('kind', '=', 'webhook-failing')
    .execute();
  assert.deepEqual(
    closed.map(({ state }) => state),
    ['closed'],
  );
});

test('a receiver that is overloaded or away is left alone for a while, and the others get theirs', async () => {
  for (const name of ['away', 'busy', 'works']) {
    await add(name);
    await roll(name);
  }
  for (const detail of ['one', 'two', 'three']) await raise(detail);
  const answers = new Map<string, Answer | undefined>([
    ['away.example', undefined],
    ['busy.example', { status: 429, retryAfter: '600' }],
    ['works.example', { status: 200 }],
  ]);
  const { run, posted } = openSender(({ url }) => answers.get(new URL(url).host));
  const sentTo = (host: string) => posted.filter(({ url }) => new URL(url).host === host).length;
  await run();
  await run();
  assert.deepEqual(
    ['away', 'busy', 'works'].map((name) => sentTo(`${name}.example`)),
    [1, 1, 3],
  );
  nowMs += 5_000;
  await run();
  assert.deepEqual(
    ['away', 'busy', 'works'].map((name) => sentTo(`${name}.example`)),
    [2, 1, 3],
  );
  nowMs += 600_000;
  answers.set('busy.example', { status: 200 });
  await run();
  assert.equal(sentTo('busy.example'), 4);
});

// SECURITY.md: HUB-113
test('nothing leaves before there is a secret, and a message is signed by the newest and by the one before it until its overlap ends', async () => {
  await add('desk');
  await raise('one');
  const { run, posted, sender } = openSender();
  await run();
  assert.equal(posted.length, 0);
  await assert.rejects(sender.test(await getWebhook(store.database.read, 'desk'), 'x'), { code: 'conflict' });
  const first = await roll('desk');
  nowMs += 1;
  const second = await roll('desk', 60);
  await run();
  const verify = ({ secret }: { secret: string | null }, at: number) => {
    const { body = new Uint8Array(0), headers = {} } = posted[at] ?? {};
    return new Webhook(secret ?? '').verify(Buffer.from(body), headers);
  };
  verify(first, 0);
  verify(second, 0);
  nowMs += 61_000;
  await raise('two');
  await run();
  verify(second, 1);
  assert.throws(() => verify(first, 1), { name: 'WebhookVerificationError' });
});

// SECURITY.md: HUB-115
test('neither the log nor the store has a secret, or the path of a URL in the log, and a secret that was copied to another webhook does not open', async () => {
  const row = await add('desk');
  const { secret } = await roll('desk');
  await removeWebhook(store.database, { name: 'desk', actor, nowMs });
  const entries = JSON.stringify(await auditEntries(store.database));
  assert.ok(!entries.includes('s3cret') && entries.includes('https://desk.example'));
  await add('desk');
  await roll('desk');
  await add('thief');
  await roll('thief');
  const rows = await store.database.read.selectFrom('webhook_secret').selectAll().execute();
  const kept = Buffer.from((secret ?? '').slice('whsec_'.length), 'base64');
  assert.ok(rows.every(({ wrapped_secret: wrapped }) => !Buffer.from(wrapped).includes(kept)));
  const of = (name: string) => rows.find(({ webhook }) => webhook === name)?.wrapped_secret ?? assert.fail();
  const copy = { wrapped_secret: of('desk') };
  await store.database.write((trx) =>
    trx.updateTable('webhook_secret').set(copy).where('webhook', '=', 'thief').execute(),
  );
  await raise('one');
  const { run, posted } = openSender();
  await assert.rejects(async () => {
    await run();
    await run();
  }, /does not open/);
  assert.ok(posted.every(({ url }) => url === row.url));
});

test('secrets of webhooks are wrapped again when the platform key rolls over', async () => {
  await add('desk', { signing: 'ed25519' });
  const { publicKey, secret } = await roll('desk');
  assert.deepEqual([secret, publicKey?.slice(0, 5)], [null, 'whpk_']);
  platformKey.add(2, randomBytes(32));
  const { database } = store;
  assert.equal(await webhookSecrets.countOlder(database.read, 2), 1);
  assert.equal(await database.write((trx) => webhookSecrets.rewrapOlder(trx, platformKey, 10)), 1);
  assert.equal(await webhookSecrets.countOlder(database.read, 2), 0);
  platformKey.forget(1);
  await raise('one');
  const { run, posted } = openSender();
  await run();
  assert.match(posted[0]?.headers['webhook-signature'] ?? '', /^v1a,/);
});

test('a webhook that is full loses nothing: what comes beyond waits as dead letters', async () => {
  await add('desk');
  const { database } = store;
  await database.write(async (trx) => {
    const row = { webhook: 'desk', state: 'waiting', attempts: 0, created_at: 0, next_at: 0 } as const;
    for (let at = 0; at < 10_000; at += 500) {
      const rows = Array.from({ length: 500 }, (_, index) => ({ ...row, log_index: 1_000_000 + at + index }));
      await trx
        .insertInto('webhook_delivery')
        .values(rows.map((each) => ({ ...each, attempted_at: null, problem: null })))
        .execute();
    }
  });
  await raise('one');
  assert.deepEqual(await countsOf(database.read, 'desk'), { waiting: 10_000, dead: 1, oldestAt: 0 });
});
