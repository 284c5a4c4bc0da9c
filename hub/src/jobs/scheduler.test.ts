import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Job } from '../common/subject.ts';
import { alone } from './leader.ts';
import { type RunEnded, Scheduler } from './scheduler.ts';

/** A job whose runs end when the test says so. */
function manualJob(over: Partial<Job> = {}) {
  const ends: PromiseWithResolvers<void>[] = [];
  const run = () => {
    const end = Promise.withResolvers<void>();
    ends.push(end);
    return end.promise;
  };
  const job: Job = { name: 'work', summary: 'works', everyMilliseconds: 1_000, runsOn: 'every-node', run, ...over };
  return { job, ends };
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function timers(t: TestContext) {
  t.mock.timers.enable({ apis: ['setInterval'] });
  return (ms: number) => t.mock.timers.tick(ms);
}

test('a job runs once an interval, and not before the first has passed', async (t) => {
  const tick = timers(t);
  await using scheduler = new Scheduler({ clock: () => 7 });
  const { job, ends } = manualJob();
  scheduler.add(job);
  scheduler.start();
  tick(999);
  assert.equal(ends.length, 0);
  tick(1);
  assert.equal(ends.length, 1);
  ends[0]?.resolve();
  await settle();
  tick(1_000);
  assert.equal(ends.length, 2);
  ends[1]?.resolve();
});

test('a job that takes longer than its interval does not overlap itself', async (t) => {
  const tick = timers(t);
  await using scheduler = new Scheduler({ clock: () => 0 });
  const { job, ends } = manualJob();
  scheduler.add(job);
  scheduler.start();
  tick(5_000);
  assert.equal(ends.length, 1);
  ends[0]?.resolve();
  await settle();
  assert.equal(ends.length, 1, 'no run was kept for later');
});

test('requests that come while a job runs are one more run, and each of them gets its outcome', async () => {
  await using scheduler = new Scheduler({ clock: () => 0 });
  const { job, ends } = manualJob();
  const handle = scheduler.add(job);
  const first = handle.now();
  const second = handle.now();
  const third = handle.now();
  handle.soon();
  assert.equal(ends.length, 1);
  ends[0]?.resolve();
  await first;
  await settle();
  assert.equal(ends.length, 2);
  ends[1]?.reject(new Error('no disk'));
  await assert.rejects(second, /no disk/);
  await assert.rejects(third, /no disk/);
  assert.equal(ends.length, 2);
});

test('a failure is counted, told once and forgotten after a success', async () => {
  const told: (string | undefined)[] = [];
  const onEnd: RunEnded = (_job, _seconds, error) => void told.push(error?.message);
  await using scheduler = new Scheduler({ clock: () => 42 });
  scheduler.watch(onEnd);
  let fails = true;
  const handle = scheduler.add({
    ...manualJob().job,
    run: async () => {
      if (fails) throw new Error('store is read-only');
    },
  });
  await assert.rejects(handle.now(), /store is read-only/);
  const [failed] = scheduler.list();
  assert.deepEqual([failed?.failures, failed?.failuresInARow, failed?.lastError], [1, 1, 'store is read-only']);
  assert.equal(failed?.lastSucceededAt, undefined);
  fails = false;
  await handle.now();
  const [after] = scheduler.list();
  assert.deepEqual([after?.runs, after?.failures, after?.failuresInARow], [2, 1, 0]);
  assert.deepEqual([after?.lastStartedAt, after?.lastSucceededAt, after?.lastError], [42, 42, undefined]);
  assert.deepEqual(told, ['store is read-only', undefined]);
});

test('work for one node is left to the node that leads, also where somebody asks another one for it', async (t) => {
  const tick = timers(t);
  let leads = false;
  const asked: string[] = [];
  const leadership = { ...alone, leads: () => leads, ask: async (job: string) => void asked.push(job) };
  await using scheduler = new Scheduler({ clock: () => 0, leadership });
  const { job, ends } = manualJob({ runsOn: 'one-node' });
  const handle = scheduler.add(job);
  scheduler.start();
  tick(3_000);
  assert.equal(ends.length, 0);
  await handle.now();
  assert.deepEqual([ends.length, asked], [0, ['work']]);
  leads = true;
  tick(1_000);
  assert.equal(ends.length, 1);
  ends[0]?.resolve();
  await settle();
  scheduler.runSoon('work');
  assert.equal(ends.length, 2);
  ends[1]?.resolve();
});

test('a scheduler that ends waits for the run under way and starts no other', async () => {
  const scheduler = new Scheduler({ clock: () => 0 });
  const { job, ends } = manualJob();
  const handle = scheduler.add(job);
  handle.soon();
  const asked = handle.now();
  let ended = false;
  const end = async () => {
    await scheduler[Symbol.asyncDispose]();
    ended = true;
  };
  const ending = end();
  await settle();
  assert.equal(ended, false);
  ends[0]?.resolve();
  await ending;
  await asked;
  handle.soon();
  assert.equal(ends.length, 1);
});

test('two jobs of one name are refused', async () => {
  await using scheduler = new Scheduler({ clock: () => 0 });
  scheduler.add(manualJob().job);
  assert.throws(() => scheduler.add(manualJob().job), /two jobs are named work/);
});
