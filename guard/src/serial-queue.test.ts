import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SerialQueue } from './serial-queue.ts';

test('work runs one at a time, in the order it came', async () => {
  const lane = new SerialQueue(10, 60_000);
  const events: string[] = [];
  const work = (name: string) => async () => {
    events.push(`${name} starts`);
    await Promise.resolve();
    events.push(`${name} ends`);
  };
  await Promise.all([lane.run(work('a')), lane.run(work('b'))]);
  assert.deepEqual(events, ['a starts', 'a ends', 'b starts', 'b ends']);
});

test('work that throws does not block the lane', async () => {
  const lane = new SerialQueue(10, 60_000);
  await assert.rejects(
    lane.run(() => Promise.reject(new Error('model'))),
    /model/,
  );
  assert.equal(await lane.run(() => Promise.resolve(1)), 1);
});

// SECURITY.md: DEV-33
test('one more than may wait is refused at once', async () => {
  const lane = new SerialQueue(1, 60_000);
  const gate = Promise.withResolvers<void>();
  const running = lane.run(() => gate.promise);
  await Promise.resolve();
  await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  const waiting = lane.run(() => Promise.resolve());
  await assert.rejects(
    lane.run(() => Promise.resolve()),
    { code: 'queue-full' },
  );
  gate.resolve();
  await Promise.all([running, waiting]);
});

test('work whose turn comes too late is not started, and the work behind it still waits for the running one', async () => {
  const lane = new SerialQueue(10, 1);
  const gate = Promise.withResolvers<void>();
  let started = false;
  const running = lane.run(() => gate.promise);
  const late = lane.run(async () => {
    started = true;
    return Promise.resolve();
  });
  await assert.rejects(late, { code: 'queue-timeout' });
  const behind = lane.run(() => Promise.resolve('behind'));
  gate.resolve();
  await running;
  assert.equal(await behind, 'behind');
  assert.equal(started, false);
});
