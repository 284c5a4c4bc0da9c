import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SandboxFinder } from './host.ts';
import type { Sandbox } from './sandbox.ts';

const sandbox = (degraded: Sandbox['degraded']): Sandbox => ({ parts: new Set(), degraded, root: true, userId: 1 });

test('a failure is met by those who wait for it, and the next to ask tries again', async () => {
  let tries = 0;
  const finder = new SandboxFinder(async () => {
    tries += 1;
    if (tries === 1) throw new Error('too slow');
    return sandbox([]);
  });
  const both = await Promise.allSettled([finder.sandbox(), finder.sandbox()]);
  assert.deepEqual([both.map(({ status }) => status), tries], [['rejected', 'rejected'], 1]);
  assert.deepEqual((await finder.sandbox()).degraded, []);
  assert.equal(tries, 2);
});

test('what was found whole is kept, and what lacked a wall is looked for again after a time', async () => {
  let now = 0;
  const results = [sandbox(['ipc-namespace']), sandbox([])];
  let tries = 0;
  const finder = new SandboxFinder(
    async () => results[tries++] ?? sandbox([]),
    600_000,
    () => now,
  );
  assert.deepEqual((await finder.sandbox()).degraded, ['ipc-namespace']);
  now = 599_000;
  assert.deepEqual((await finder.sandbox()).degraded, ['ipc-namespace']);
  now = 600_000;
  assert.deepEqual((await finder.sandbox()).degraded, []);
  now = 6_000_000;
  await finder.sandbox();
  assert.equal(tries, 2);
});
