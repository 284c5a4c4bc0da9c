import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Job } from '../common/subject.ts';
import { asHub } from '../store/authority.ts';
import type { Database } from '../store/database.ts';
import { leaseHolder } from '../store/job-lease.ts';
import { openTestStore } from '../store/testing-store.ts';
import { Leader } from './leader.ts';
import { Scheduler } from './scheduler.ts';

/** What the time does to a lease that nobody renews. */
async function letItEnd(database: Database): Promise<void> {
  await database.writeAsHub((trx) => trx.updateTable('job_lease').set({ expires_at: 1 }).execute());
}

test('one node leads, and another takes its place when its lease is over', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Leader(database, 'a'), new Leader(database, 'b')];
  await a.tick();
  await b.tick();
  assert.deepEqual([a.leads(), b.leads()], [true, false]);
  await letItEnd(database);
  await b.tick();
  await a.tick();
  assert.deepEqual([a.leads(), b.leads()], [false, true]);
});

test('a lease of a node that was killed is over when the clock of the store was set back by hours', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Leader(database, 'a'), new Leader(database, 'b')];
  await a.tick();
  await database.writeAsHub((trx) =>
    trx
      .updateTable('job_lease')
      .set((q) => ({ expires_at: q('expires_at', '+', 3_600_000) }))
      .execute(),
  );
  await b.tick();
  assert.equal(b.leads(), true);
  assert.equal((await leaseHolder(database.read))?.term, 2);
});

test('a node that ends gives its lease back', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Leader(database, 'a'), new Leader(database, 'b')];
  await a.tick();
  await a[Symbol.asyncDispose]();
  await b.tick();
  assert.deepEqual([a.leads(), b.leads()], [false, true]);
});

test('a node that cannot renew its lease stops before it is over, by the clock that nobody sets', async () => {
  await using store = await openTestStore();
  let elapsedMs = 1_000;
  const leader = new Leader(store.database, 'a', () => elapsedMs);
  await leader.tick();
  elapsedMs += 4_499;
  assert.equal(leader.leads(), true);
  elapsedMs += 1;
  assert.equal(leader.leads(), false);
});

test('the time that the store took for its answer is no time of the lease', async () => {
  await using store = await openTestStore();
  let elapsedMs = 1_000;
  const leader = new Leader(store.database, 'a', () => {
    const now = elapsedMs;
    elapsedMs = 6_000;
    return now;
  });
  await leader.tick();
  assert.equal(leader.leads(), false);
});

/** Changes a row that nothing else uses. */
function workOf(database: Database, paused: Promise<void>): Job {
  const write = (name: string) =>
    database.writeAsHub((trx) => trx.insertInto('hub_name').values({ name, added_at: 1 }).execute());
  return {
    name: 'work',
    summary: 'works',
    runsOn: 'one-node',
    run: async () => {
      await write('before');
      await paused;
      // As a response to an attack does, which shares functions with requests.
      await asHub(() => write('after'));
    },
  };
}

const namesIn = async ({ read }: Database) =>
  (await read.selectFrom('hub_name').select('name').orderBy('name').execute()).map(({ name }) => name);

// SECURITY.md: HUB-131
test('a node that was stopped in the middle of a job changes nothing when it goes on after another took its place', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Leader(database, 'a'), new Leader(database, 'b')];
  await a.tick();
  await using scheduler = new Scheduler({ clock: () => 0, leadership: a });
  const paused = Promise.withResolvers<void>();
  const running = scheduler.add(workOf(database, paused.promise)).now();
  await letItEnd(database);
  await b.tick();
  paused.resolve();
  await assert.rejects(running, { code: 'not-leading' });
  assert.deepEqual(await namesIn(database), ['before']);
});

test('a job goes on whose node has lost its lease for a moment and got it back', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const leader = new Leader(database, 'a');
  await leader.tick();
  await using scheduler = new Scheduler({ clock: () => 0, leadership: leader });
  const paused = Promise.withResolvers<void>();
  const running = scheduler.add(workOf(database, paused.promise)).now();
  await letItEnd(database);
  await leader.tick();
  paused.resolve();
  await running;
  assert.deepEqual(await namesIn(database), ['after', 'before']);
});

test('a job that is asked for on another node runs on the one that leads, once', async () => {
  await using store = await openTestStore();
  const { database } = store;
  const [a, b] = [new Leader(database, 'a'), new Leader(database, 'b')];
  await a.tick();
  await b.tick();
  const asked: string[] = [];
  a.onAsked((job) => asked.push(job));
  await using scheduler = new Scheduler({ clock: () => 0, leadership: b });
  const ran: string[] = [];
  const handle = scheduler.add({
    name: 'work',
    summary: 'works',
    runsOn: 'one-node',
    run: async () => void ran.push('b'),
  });
  await handle.now();
  await handle.now();
  await a.tick();
  await a.tick();
  assert.deepEqual([asked, ran], [['work'], []]);
});
