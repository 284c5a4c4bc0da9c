// Every test that opens a store, with it on PostgreSQL. `npm test` runs the ones whose own work meets the store (scripts/store-tests.mjs).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { ownProcess } from '../fleet/owned.ts';
import type { Benchmark } from '../harness.ts';

const root = join(import.meta.dirname, '../..');
/** In a quick run. */
const someTests = ['tests/attacks/half-sent/device.test.ts', 'tests/registry.system.test.ts'];

export const bench: Benchmark = {
  name: 'tests-on-postgres',
  title: 'Tests on PostgreSQL',
  budget: 'every test that opens a store passes with it on PostgreSQL',
  async run(harness) {
    const words = [join(root, 'scripts/test.mjs'), 'postgres', ...(harness.quick ? someTests : [])];
    const run = ownProcess(spawn(process.execPath, words, { cwd: root, stdio: ['ignore', 'pipe', 'inherit'] }));
    const ended = once(run, 'exit');
    const lines: string[] = [];
    for await (const line of createInterface({ input: run.stdout })) {
      if (/^\S+\.test\.ts \(/.test(line)) harness.progress(line);
      lines.push(line);
    }
    await ended;
    const failed = lines.slice(lines.indexOf('failed:') + 1, -2);
    if (run.exitCode !== 0) for (const line of failed) harness.progress(line);
    const counts = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(lines.at(-1) ?? '');
    harness.figure('tests that passed', Number(counts?.[1] ?? 0), '');
    harness.figure('tests that were skipped', Number(counts?.[3] ?? 0), '');
    harness.verdict(run.exitCode === 0 && counts !== null, `on PostgreSQL: ${lines.at(-1) ?? 'nothing was run'}`);
  },
};
