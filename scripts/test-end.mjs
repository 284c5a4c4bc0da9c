// Loaded into the process of each test file by the runner: once its tests and hooks are done, nothing that they started may hold the process.
// What does is named, and the process ends.
import { appendFileSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';

/** Other hooks run after this one: a hub that is stopped, a folder that is removed, on a busy machine. */
const graceSeconds = Number(process.env.EDGEKEEP_TEST_END_SECONDS ?? 60);
const report = process.env.EDGEKEEP_TEST_REPORT;
// Processes that a test forks inherit the flag that loads this file: they are no test files.
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
