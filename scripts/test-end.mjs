// Loaded into the process of each test file by the runner: once its tests and hooks are done, nothing that they started may keep the
// process alive. Names what does, and ends the process.
import { appendFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** Time for other hooks that run after this one (stopping a hub, removing a folder) on a busy machine. */
const graceSeconds = Number(process.env.EDGEKEEP_TEST_END_SECONDS ?? 60);
const report = process.env.EDGEKEEP_TEST_REPORT;
// Processes that a test forks inherit the flag that loads this file, but they are not test files.
const isTestFile = process.ppid === Number(process.env.EDGEKEEP_TEST_RUNNER);

if (isMainThread && isTestFile && report !== undefined) {
  const { after } = await import('node:test');
  after(() => {
    setTimeout(() => {
      const held = [...new Set(process.getActiveResourcesInfo())].join(', ');
      appendFileSync(report, `${JSON.stringify({ outcome: 'held', why: held })}\n`);
      process.exit(1);
    }, graceSeconds * 1_000).unref();
  });
}
