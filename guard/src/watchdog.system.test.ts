import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const watchdog = new URL('watchdog.ts', import.meta.url).href;
const run = (code: string) =>
  spawnSync(
    process.execPath,
    ['--input-type=module', '-e', `import { startWatchdog } from ${JSON.stringify(watchdog)}; ${code}`],
    { timeout: 200_000 },
  );

test('a process whose main thread is kept for longer than the deadline is ended by its watchdog', () => {
  const stuck = run(`await startWatchdog(1_000); while (true);`);
  assert.deepEqual([stuck.signal, stuck.error], ['SIGKILL', undefined]);
});

test('a watchdog leaves a process alone that answers, and does not keep it from ending', () => {
  assert.equal(run(`await startWatchdog(10_000);`).status, 0);
});
