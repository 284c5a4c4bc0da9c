import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KyselyPlugin } from 'kysely';
import { listAlerts } from '../alert/alert-list.ts';
import type { Job } from '../common/subject.ts';
import { Database } from '../store/database.ts';
import { jobAlarm } from './alarm.ts';
import { Scheduler } from './scheduler.ts';

/** `read` reads as that of the store; `idle` resolves once nobody reads on it. */
function countedReads(database: Database) {
  const open = new Set<object>();
  const count: KyselyPlugin = {
    transformQuery: ({ node, queryId }) => {
      open.add(queryId);
      return node;
    },
    transformResult: async ({ result, queryId }) => {
      open.delete(queryId);
      return result;
    },
  };
  const idle = async () => {
    do {
      await new Promise<void>((resolve) => setImmediate(resolve));
    } while (open.size > 0);
  };
  return { read: database.read.withPlugin(count), idle };
}

const query = { state: 'any', kind: 'job-failing', limit: 100 } as const;

test('a job that keeps failing is one alert, which the first success closes, also in a later process', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-jobs-'));
  t.after(() => rm(folder, { recursive: true }));
  await using database = await Database.open(join(folder, 'hub.sqlite'));
  const warned: string[] = [];
  let fails = true;
  const job: Job = {
    name: 'sweep',
    summary: 'sweeps',
    runsOn: 'every-node',
    run: async () => {
      if (fails) throw new Error('no room on the disk');
    },
  };
  /** A hub process. */
  const started = () => {
    const scheduler = new Scheduler({ clock: () => 1_000 });
    const { read, idle } = countedReads(database);
    const writes: Promise<unknown>[] = [];
    const writeAsHub: Database['writeAsHub'] = (work) => {
      const written = database.writeAsHub(work);
      writes.push(written);
      return written;
    };
    const warn = (text: string) => void warned.push(text);
    scheduler.watch(jobAlarm({ database: { read, writeAsHub }, clock: () => 1_000, maxFailures: 3, warn }));
    const handle = scheduler.add(job);
    const run = async () => {
      await handle.now().catch(() => undefined);
      // The alarm reads the open alert before it writes.
      await idle();
      await Promise.all(writes);
    };
    return { scheduler, run };
  };
  const alerts = async () =>
    (await listAlerts(database.read, query)).alerts.map(({ title, state, count }) => `${state} ${count} ${title}`);

  const first = started();
  await first.run();
  await first.run();
  assert.deepEqual(await alerts(), []);
  await first.run();
  await first.run();
  const title = 'the job sweep failed 3 times in a row: no room on the disk';
  assert.deepEqual(await alerts(), [`open 1 ${title}`]);
  assert.deepEqual(warned, ['job sweep: no room on the disk'], 'said once');
  await first.scheduler[Symbol.asyncDispose]();

  const second = started();
  fails = false;
  await second.run();
  assert.deepEqual(await alerts(), [`closed 1 ${title}`]);
  await second.scheduler[Symbol.asyncDispose]();
});

test('an alert that is written after the job works again does not stay', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-jobs-'));
  t.after(() => rm(folder, { recursive: true }));
  await using database = await Database.open(join(folder, 'hub.sqlite'));
  const { read, idle } = countedReads(database);
  const held = Promise.withResolvers<void>();
  const writes: Promise<unknown>[] = [];
  const writeAsHub: Database['writeAsHub'] = (work) => {
    const written = held.promise.then(() => database.writeAsHub(work));
    writes.push(written);
    return written;
  };
  const ended = jobAlarm({
    database: { read, writeAsHub },
    clock: () => 1_000,
    maxFailures: 1,
    warn: () => undefined,
  });
  const status = {
    name: 'sweep',
    summary: 'sweeps',
    everyMilliseconds: 1,
    runsOn: 'every-node',
    running: false,
  } as const;
  const run = { ...status, runs: 1, failures: 1, lastStartedAt: 1, lastSucceededAt: undefined };
  ended({ ...run, failuresInARow: 1, lastError: 'no room' }, 0, new Error('no room'));
  await idle();
  assert.equal(writes.length, 1, 'the alert is on its way');
  ended({ ...run, failuresInARow: 0, lastError: undefined }, 0, undefined);
  held.resolve();
  // Each write makes room for the next.
  for (let at = 0; at < writes.length; at += 1) {
    await writes[at];
    await idle();
  }
  const { alerts } = await listAlerts(database.read, query);
  assert.deepEqual(
    alerts.map(({ state, count }) => `${state} ${count}`),
    ['closed 1'],
  );
  assert.equal(writes.length, 2);
});

test('a node settles the alert about its own job and not another node’s, and the leading node that of work that one node does', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-jobs-'));
  t.after(() => rm(folder, { recursive: true }));
  await using database = await Database.open(join(folder, 'hub.sqlite'));
  const nodeNamed = (node: string) => {
    const { read, idle } = countedReads(database);
    const writes: Promise<unknown>[] = [];
    const writeAsHub: Database['writeAsHub'] = (work) => {
      const written = database.writeAsHub(work);
      writes.push(written);
      return written;
    };
    const alarm = { database: { read, writeAsHub }, clock: () => 1_000, maxFailures: 1, warn: () => undefined, node };
    const ended = jobAlarm(alarm);
    return async (name: string, runsOn: Job['runsOn'], failuresInARow: number) => {
      const lastError = failuresInARow > 0 ? 'no room' : undefined;
      const status = { name, summary: 'works', everyMilliseconds: 1, runsOn, running: false, runs: 1, failures: 1 };
      const error = lastError === undefined ? undefined : new Error(lastError);
      ended({ ...status, failuresInARow, lastError, lastStartedAt: 1, lastSucceededAt: undefined }, 0, error);
      await idle();
      await Promise.all(writes);
    };
  };
  const [a, b] = [nodeNamed('a'), nodeNamed('b')];
  await a('look', 'every-node', 1);
  await b('look', 'every-node', 0);
  await a('sweep', 'one-node', 1);
  const alerts = async () =>
    (await listAlerts(database.read, query)).alerts.map(({ title, state }) => `${state} ${title}`).toSorted();
  assert.deepEqual(await alerts(), [
    'open the job look on a failed 1 times in a row: no room',
    'open the job sweep failed 1 times in a row: no room',
  ]);
  await b('sweep', 'one-node', 0);
  await a('look', 'every-node', 0);
  assert.deepEqual(await alerts(), [
    'closed the job look on a failed 1 times in a row: no room',
    'closed the job sweep failed 1 times in a row: no room',
  ]);
});
