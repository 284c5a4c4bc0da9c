import assert from 'node:assert/strict';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { appendEntry } from '../audit/append.ts';
import { AuditLog } from '../audit/log.ts';
import { checkpointsIn, entriesIn } from '../audit/store-source.ts';
import { logSigner } from '../audit/testing-log.ts';
import { Scheduler } from '../jobs/scheduler.ts';
import { auditEntries, openTestStore, type TestStore } from '../store/testing-store.ts';
import type { BatchWrite, Consumer } from './consumer.ts';
import { findCursor, resetCursor } from './cursors.ts';
import type { LogEvent } from './events.ts';
import { type Events, openEvents } from './open.ts';

let store: TestStore;
let log: AuditLog;
let nowMs = 1_000_000;
const clock = () => nowMs;
beforeEach(async () => {
  nowMs = 1_000_000;
  store = await openTestStore();
  const { database, folder } = store;
  const [source, checkpoints] = [entriesIn(database), checkpointsIn(database)];
  log = await AuditLog.open({ source, checkpoints, folder: join(folder, 'log'), signer: logSigner });
});
afterEach(async () => {
  await log[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
});

const append = (kind: string, times = 1): Promise<number> =>
  store.database.write(async (trx) => {
    let index = -1;
    const data = { kind: 'nested', text: '"kind":"wanted"' };
    for (let at = 0; at < times; at += 1)
      index = await appendEntry(trx, { at: nowMs, kind, actor: 'hub', subject: 'log:x', data });
    return index;
  });
const covered = async (kind: string, times = 1) => {
  const index = await append(kind, times);
  await log.integrated(index);
  return index;
};

/** A consumer, and its job's turns one by one. */
function openConsumer(over: Partial<Consumer> = {}, beside: readonly Consumer[] = []) {
  const got: number[][] = [];
  const scheduler = new Scheduler({ clock });
  const settings = { pollMilliseconds: 1_000, maxLagSeconds: 300 };
  const events: Events = openEvents(store.database, settings, clock, (job) => add(job));
  const turns: (() => Promise<void>)[] = [];
  const add: Scheduler['add'] = (job) => {
    const handle = scheduler.add(job);
    turns.push(() => handle.now());
    return handle;
  };
  const handle = async (batch: readonly LogEvent[]): Promise<BatchWrite | undefined> => {
    got.push(batch.map(({ index }) => index));
    return undefined;
  };
  events.add({ name: 'lines', summary: 'writes lines', handle, ...over });
  for (const consumer of beside) events.add(consumer);
  const lag = scheduler.add(events.jobs?.[0] ?? assert.fail('no job for the lag'));
  const turn = async (at = 0) => (turns[at] ?? assert.fail('no such consumer'))();
  return { got, turn, events, lag, position: async () => (await findCursor(store.database.read, 'lines'))?.position };
}

test('a consumer gets each entry that comes after it was added, in order and once', async () => {
  await covered('before', 3);
  const { got, turn, position } = openConsumer();
  await turn();
  assert.deepEqual([got, await position()], [[], 3]);
  await covered('after', 2);
  await turn();
  await turn();
  assert.deepEqual([got, await position()], [[[3, 4]], 5]);
});

test('an entry that no checkpoint covers is not handed out', async () => {
  const { got, turn } = openConsumer();
  await turn();
  const index = await append('early');
  await turn();
  assert.deepEqual(got, []);
  await log.integrated(index);
  await turn();
  assert.deepEqual(got, [[0]]);
});

test('only the wanted kinds come, and what is in the data of others is no kind', async () => {
  const { got, turn, position } = openConsumer({ kinds: ['wanted'] });
  await turn();
  await covered('other');
  await covered('wanted');
  await covered('other', 300);
  await turn();
  assert.deepEqual([got, await position()], [[[1]], 302]);
});

test('a backlog comes in batches with a limit, also over several turns', async () => {
  const { got, turn, position } = openConsumer();
  await turn();
  await covered('many', 1_000);
  await turn();
  assert.deepEqual(
    got.map((batch) => batch.length),
    [256, 256, 256, 232],
  );
  assert.deepEqual(got.flat(), [...Array.from({ length: 1_000 }).keys()]);
  assert.equal(await position(), 1_000);
});

test('a batch that failed comes again, later each time, and nothing is skipped', async () => {
  const got: number[][] = [];
  let fails = true;
  const { turn, position, events } = openConsumer({
    handle: async (batch) => {
      got.push(batch.map(({ index }) => index));
      if (fails) throw new Error('the receiver is\ndown');
      return undefined;
    },
  });
  await turn();
  await covered('one');
  await turn();
  await turn();
  assert.equal(got.length, 1);
  const failed = (await events.list())[0]?.cursor;
  assert.deepEqual([failed?.failures, failed?.problem], [1, 'the receiver is?down']);
  const waits: number[] = [];
  for (let times = 0; times < 12; times += 1) {
    const { next_at: next = 0 } = (await findCursor(store.database.read, 'lines')) ?? {};
    waits.push((next ?? 0) - nowMs);
    nowMs = next ?? 0;
    await turn();
  }
  assert.equal(got.length, 13);
  assert.ok(
    waits.every((wait) => wait >= 500 && wait <= 300_000),
    String(waits),
  );
  assert.ok((waits[11] ?? 0) >= 150_000, String(waits));
  fails = false;
  await covered('two');
  nowMs += 300_000;
  await turn();
  assert.deepEqual([got.at(-1), await position()], [[0, 1], 2]);
  assert.deepEqual((await events.list())[0]?.cursor.problem, null);
});

test('a crash between handling and moving repeats the batch; what the batch wrote is written once', async () => {
  let crash = true;
  const { turn, position } = openConsumer({
    handle: async () => async (trx) => {
      await appendEntry(trx, { at: nowMs, kind: 'written', actor: 'hub', subject: 'log:x', data: {} });
      if (crash) throw new Error('killed');
    },
    kinds: ['one'],
  });
  await turn();
  await covered('one');
  await assert.rejects(turn(), /killed/);
  assert.equal(await position(), 0);
  crash = false;
  await turn();
  assert.equal(await position(), 1);
  const kinds = (await auditEntries(store.database)).map(({ kind }) => kind);
  assert.deepEqual(kinds, ['one', 'written']);
});

// SECURITY.md: HUB-109
test('a node that lost the lead while it worked moves nothing, and writes nothing', async () => {
  const { turn, position } = openConsumer({
    handle: async () => {
      const reset = { name: 'lines', position: null, reason: 'skip', actor: 'person:ada/0', nowMs };
      await resetCursor(store.database, reset);
      return async (trx) => {
        await appendEntry(trx, { at: nowMs, kind: 'written', actor: 'hub', subject: 'log:x', data: {} });
      };
    },
    kinds: ['one'],
  });
  await turn();
  await covered('one');
  await turn();
  assert.equal(await position(), 1);
  assert.ok((await auditEntries(store.database)).every(({ kind }) => kind !== 'written'));
});

// SECURITY.md: HUB-109
test('two nodes that both take a batch write it once, and the next batch begins behind it', async () => {
  const both = Promise.withResolvers<void>();
  let handling = 0;
  const consumer: Partial<Consumer> = {
    kinds: ['one'],
    handle: async ([event]) => {
      handling += 1;
      if (handling === 2) both.resolve();
      await both.promise;
      const data = { of: event?.index };
      return async (trx) => {
        await appendEntry(trx, { at: nowMs, kind: 'written', actor: 'hub', subject: 'log:x', data });
      };
    },
  };
  const [first, second] = [openConsumer(consumer), openConsumer(consumer)];
  await first.turn();
  const index = await covered('one');
  await Promise.all([first.turn(), second.turn()]);
  assert.equal(handling, 2);
  assert.equal(await first.position(), index + 1);
  const next = await covered('one');
  await second.turn();
  await first.turn();
  const written = (await auditEntries(store.database)).filter(({ kind }) => kind === 'written');
  assert.deepEqual(
    written.map(({ data }) => data),
    [{ of: index }, { of: next }],
  );
});

test('a consumer that hangs or fails holds up no other', async () => {
  const hangs: Consumer = { name: 'hangs', summary: 'hangs', handle: () => new Promise(() => {}) };
  const other: number[] = [];
  const works: Consumer = {
    name: 'works',
    summary: 'works',
    handle: async (batch) => {
      other.push(...batch.map(({ index }) => index));
      return undefined;
    },
  };
  const { turn } = openConsumer({ handle: () => Promise.reject(new Error('no')) }, [hangs, works]);
  for (const at of [0, 1, 2]) await turn(at);
  await covered('one');
  void turn(1);
  await turn(0);
  await turn(2);
  assert.deepEqual(other, [0]);
});

test('a consumer that is behind is an alert with its last error, until it is not behind any more', async () => {
  let fails = true;
  const { turn, lag, events } = openConsumer({
    handle: () => (fails ? Promise.reject(new Error('refused')) : Promise.resolve(undefined)),
  });
  const open = async () =>
    (await store.database.read.selectFrom('alert').selectAll().where('state', '=', 'open').execute()).map(
      ({ kind, subject, title }) => `${kind} ${subject} ${title}`,
    );
  await turn();
  await covered('one', 2);
  await turn();
  await lag.now();
  assert.deepEqual(await open(), []);
  nowMs += 301_000;
  const [seen] = await events.list();
  assert.deepEqual([seen?.entries, seen?.seconds], [2, 301]);
  await lag.now();
  assert.deepEqual(await open(), [
    'consumer-behind cursor:lines lines has not handled what happened for more than 300 s: refused',
  ]);
  fails = false;
  await log.integrated(2);
  await turn();
  await lag.now();
  assert.deepEqual(await open(), []);
});

// SECURITY.md: HUB-109
test('a cursor that somebody moved behind the end of the log in the store is an alert', async () => {
  const { turn, lag } = openConsumer();
  await turn();
  await covered('one');
  await turn();
  await store.database.write((trx) => trx.updateTable('event_cursor').set({ position: 1_000 }).execute());
  await lag.now();
  const titles = (await store.database.read.selectFrom('alert').select('title').execute()).map(({ title }) => title);
  assert.match(titles.join(), /lines waits for entry 1000, which the log does not have yet/);
});

test('a person moves a cursor back or forward with an entry, and not beyond the log', async () => {
  const { got, turn, position } = openConsumer();
  await turn();
  await covered('one', 3);
  await turn();
  const order = { name: 'lines', reason: 'again', actor: 'person:ada/0', nowMs };
  await assert.rejects(resetCursor(store.database, { ...order, position: 9 }), { code: 'request-invalid' });
  await assert.rejects(resetCursor(store.database, { ...order, name: 'none', position: 0 }), { code: 'not-found' });
  await resetCursor(store.database, { ...order, position: 1 });
  await log.integrated(3);
  await turn();
  assert.deepEqual(got, [
    [0, 1, 2],
    [1, 2, 3],
  ]);
  const entry = (await auditEntries(store.database)).at(-1);
  assert.deepEqual(
    [entry?.kind, entry?.subject, entry?.actor, entry?.data],
    ['event-cursor-reset', 'cursor:lines', 'person:ada/0', { from: 3, to: 1, reason: 'again' }],
  );
  await covered('skipped');
  await resetCursor(store.database, { ...order, position: null });
  assert.equal(await position(), 5);
});
